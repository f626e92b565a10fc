using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentFlow.Tests.ApiService.Identity;

public sealed class AuthEndpointsTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_new_account_signs_in_and_sees_itself()
    {
        var user = await host.RegisterAsync();
        using var client = host.Client();

        using var response = await client.PostAsJsonAsync("/api/auth/login", new LoginRequest { Email = user.Email.ToUpperInvariant(), Password = ApiHost.Password }, ContractJson.Options, Ct);
        var tokens = await response.Content.ReadFromJsonAsync<TokenResponse>(ContractJson.Options, Ct);
        using var signedIn = host.Client(tokens!.AccessToken);
        var me = await signedIn.GetFromJsonAsync<UserProfile>("/api/auth/me", ContractJson.Options, Ct);

        Assert.Equal(user.Tokens.User, me);
        Assert.Equal((UserRole.User, 900), (me!.Role, tokens.ExpiresIn));
    }

    [Fact]
    public async Task Sign_ins_are_listed_and_ended_one_by_one()
    {
        var user = await host.RegisterAsync();
        using var client = host.Client();
        using var response = await client.PostAsJsonAsync("/api/auth/login", new LoginRequest { Email = user.Email, Password = ApiHost.Password }, ContractJson.Options, Ct);
        var other = await response.Content.ReadFromJsonAsync<TokenResponse>(ContractJson.Options, Ct);

        var sessions = (await user.Client.GetFromJsonAsync<Page<SessionSummary>>("/api/auth/sessions", ContractJson.Options, Ct))!.Items;
        Assert.Equal([false, true], sessions.Select(session => session.Current));
        Assert.Equal(HttpStatusCode.NoContent, (await user.Client.DeleteAsync($"/api/auth/sessions/{sessions[0].Id}", Ct)).StatusCode);

        Assert.True(Assert.Single((await user.Client.GetFromJsonAsync<Page<SessionSummary>>("/api/auth/sessions", ContractJson.Options, Ct))!.Items).Current);
        Assert.Equal(HttpStatusCode.NotFound, (await user.Client.DeleteAsync($"/api/auth/sessions/{sessions[0].Id}", Ct)).StatusCode);
        using var ended = await client.PostAsJsonAsync("/api/auth/refresh", new RefreshRequest { RefreshToken = other!.RefreshToken }, ContractJson.Options, Ct);
        Assert.Equal(HttpStatusCode.Unauthorized, ended.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await client.GetAsync("/api/auth/sessions", Ct)).StatusCode);
    }

    [Fact]
    public async Task First_account_is_administrator_and_there_is_one_first_account()
    {
        Assert.Equal(UserRole.Admin, (await host.Admin.Client.GetFromJsonAsync<UserProfile>("/api/auth/me", ContractJson.Options, Ct))!.Role);
        var late = await host.RegisterAsync("late", ApiHost.SetupToken);
        Assert.Equal(UserRole.User, late.Tokens.User.Role);
    }

    [Fact]
    public async Task Two_first_accounts_at_once_make_one_administrator()
    {
        await using var fresh = await ApiHost.StartAsync(new() { ["Test:NoAdmin"] = "1", ["Auth:Registration"] = "closed" });
        using var client = fresh.Client();
        Assert.Equal(new RegistrationState("closed", NeedsSetup: true), await client.GetFromJsonAsync<RegistrationState>("/api/auth/registration", ContractJson.Options, Ct));
        await Refused(HttpStatusCode.Forbidden, "registration_refused", await client.PostAsJsonAsync("/api/auth/register", Registering("a@example.test", setupToken: "not the set-up token"), ContractJson.Options, Ct));

        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(i =>
            client.PostAsJsonAsync("/api/auth/register", Registering($"first{i}@example.test", ApiHost.SetupToken), ContractJson.Options, Ct)));

        Assert.Equal([HttpStatusCode.Created, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden, HttpStatusCode.Forbidden], answers.Select(answer => answer.StatusCode).Order());
        Assert.Equal(new RegistrationState("closed", NeedsSetup: false), await client.GetFromJsonAsync<RegistrationState>("/api/auth/registration", ContractJson.Options, Ct));
    }

    [Theory]
    [InlineData("""{"email":"no address","password":"correct horse battery"}""", "email")]
    [InlineData("""{"email":"a@b@c.example","password":"correct horse battery"}""", "email")]
    [InlineData("""{"email":"x@example.test","password":"elevenchars"}""", "password")]
    [InlineData("""{"email":"x@example.test","password":"aaaaaaaaaaaaaaaaa"}""", "password")]
    [InlineData("""{"email":"long-enough@example.test","password":"LONG-ENOUGH@example.test"}""", "password")]
    [InlineData("""{"email":"x@example.test","password":"correct horse battery","displayName":"a\nb"}""", "displayName")]
    [InlineData("""{"email":"x@example.test","password":"correct horse battery","role":"admin"}""", "$.role")]
    [InlineData("""{"email":"x@example.test"}""", "$")]
    [InlineData("""{"email":"x@example.test","email":"y@example.test","password":"correct horse battery"}""", "$.email")]
    public async Task Bad_registrations_name_the_member(string body, string member)
    {
        using var client = host.Client();
        using var response = await client.PostAsync("/api/auth/register", new StringContent(body, System.Text.Encoding.UTF8, "application/json"), Ct);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>(Ct);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal([member], problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
    }

    [Fact]
    public async Task An_address_is_taken_once()
    {
        var user = await host.RegisterAsync();
        using var client = host.Client();

        await Refused(HttpStatusCode.Conflict, "email_taken", await client.PostAsJsonAsync("/api/auth/register", Registering(" " + user.Email.ToUpperInvariant()), ContractJson.Options, Ct));
    }

    [Fact]
    public async Task Wrong_password_and_unknown_account_read_the_same()
    {
        var user = await host.RegisterAsync();
        using var client = host.Client();

        var wrong = await Refused(HttpStatusCode.Unauthorized, "invalid_credentials", await LoginAsync(client, user.Email, "wrong horse battery staple"));
        var unknown = await Refused(HttpStatusCode.Unauthorized, "invalid_credentials", await LoginAsync(client, "nobody@example.test", "wrong horse battery staple"));
        Assert.Equal(wrong.GetProperty("detail").GetString(), unknown.GetProperty("detail").GetString());
        await Refused(HttpStatusCode.BadRequest, "invalid_request", await LoginAsync(client, user.Email, new string('x', 1_025)));
    }

    [Fact]
    public async Task Wrong_sign_ins_are_slowed_for_the_guesser_only_and_before_hashing()
    {
        await using var strict = await ApiHost.StartAsync(
            new() { ["Limits:SignInsPerAccountAndAddress"] = "3" }, builder => builder.Services.AddSingleton<TimeProvider>(new StoppedClock()));
        var (victim, other) = (await strict.RegisterAsync("victim"), await strict.RegisterAsync("other"));
        using var client = strict.Client();
        for (var i = 0; i < 3; i++)
        {
            await Refused(HttpStatusCode.Unauthorized, "invalid_credentials", await LoginAsync(client, victim.Email, "wrong horse battery staple"));
        }

        using var slowed = await LoginAsync(client, victim.Email, ApiHost.Password);
        Assert.Equal(HttpStatusCode.TooManyRequests, slowed.StatusCode);
        Assert.InRange(slowed.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 300);
        Assert.Equal(HttpStatusCode.OK, (await LoginAsync(client, other.Email, ApiHost.Password)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await victim.Client.GetAsync("/api/auth/me", Ct)).StatusCode);
    }

    [Fact]
    public async Task A_password_stored_with_fewer_rounds_is_hashed_anew_at_sign_in()
    {
        var user = await host.RegisterAsync();
        await ExecuteAsync("update agentflow_api.users set password_hash = $1 where email = $2", global::AgentFlow.ApiService.Identity.Passwords.Hash(ApiHost.Password, 1_000), user.Email);
        using var client = host.Client();

        Assert.Equal(HttpStatusCode.OK, (await LoginAsync(client, user.Email, ApiHost.Password)).StatusCode);

        Assert.StartsWith("$pbkdf2-sha512$i=220000$", await ScalarAsync("select password_hash from agentflow_api.users where email = $1", user.Email), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await LoginAsync(client, user.Email, ApiHost.Password)).StatusCode);
    }

    [Fact]
    public async Task Signing_out_ends_this_sign_in_and_no_other()
    {
        var user = await host.RegisterAsync();
        using var client = host.Client();
        var second = await ReadAsync<TokenResponse>(await LoginAsync(client, user.Email, ApiHost.Password));
        using var other = host.Client(second.AccessToken);

        using var anonymous = host.Client();
        await Refused(HttpStatusCode.Unauthorized, "unauthorized", await anonymous.PostAsync("/api/auth/logout", null, Ct));
        await Refused(HttpStatusCode.Unauthorized, "unauthorized", await anonymous.PostAsync("/api/auth/logout-all", null, Ct));
        Assert.Equal(HttpStatusCode.NoContent, (await user.Client.PostAsync("/api/auth/logout", null, Ct)).StatusCode);

        await Refused(HttpStatusCode.Unauthorized, "invalid_token", await user.Client.GetAsync("/api/auth/me", Ct));
        await Refused(HttpStatusCode.Unauthorized, "invalid_refresh_token", await RefreshAsync(client, user.Tokens.RefreshToken));
        Assert.Equal(HttpStatusCode.OK, (await other.GetAsync("/api/auth/me", Ct)).StatusCode);

        Assert.Equal(HttpStatusCode.NoContent, (await other.PostAsync("/api/auth/logout-all", null, Ct)).StatusCode);
        await Refused(HttpStatusCode.Unauthorized, "invalid_token", await other.GetAsync("/api/auth/me", Ct));
        await Refused(HttpStatusCode.Unauthorized, "invalid_refresh_token", await RefreshAsync(client, second.RefreshToken));
    }

    [Fact]
    public async Task Changing_the_password_ends_the_other_sign_ins()
    {
        var user = await host.RegisterAsync();
        using var client = host.Client();
        var other = await ReadAsync<TokenResponse>(await LoginAsync(client, user.Email, ApiHost.Password));
        const string next = "incorrect donkey battery staple";

        await Refused(HttpStatusCode.Forbidden, "invalid_credentials", await ChangeAsync(user, "wrong horse battery staple", next));
        await Refused(HttpStatusCode.BadRequest, "invalid_request", await ChangeAsync(user, ApiHost.Password, "short"));
        Assert.Equal(HttpStatusCode.NoContent, (await ChangeAsync(user, ApiHost.Password, next)).StatusCode);

        Assert.Equal(HttpStatusCode.OK, (await user.Client.GetAsync("/api/auth/me", Ct)).StatusCode);
        await Refused(HttpStatusCode.Unauthorized, "invalid_refresh_token", await RefreshAsync(client, other.RefreshToken));
        await Refused(HttpStatusCode.Unauthorized, "invalid_credentials", await LoginAsync(client, user.Email, ApiHost.Password));
        Assert.Equal(HttpStatusCode.OK, (await LoginAsync(client, user.Email, next)).StatusCode);
    }

    [Fact]
    public async Task A_profile_can_be_changed()
    {
        var user = await host.RegisterAsync();

        var changed = await ReadAsync<UserProfile>(await user.Client.PatchAsJsonAsync("/api/auth/me", new ProfilePatch { DisplayName = "Ada", DefaultAgent = "tutor" }, ContractJson.Options, Ct));

        Assert.Equal(user.Tokens.User with { DisplayName = "Ada", DefaultAgent = "tutor" }, changed);
        await Refused(HttpStatusCode.BadRequest, "invalid_request", await user.Client.PatchAsJsonAsync("/api/auth/me", new ProfilePatch { DisplayName = " " }, ContractJson.Options, Ct));
    }

    [Fact]
    public async Task A_key_opens_what_its_scopes_say_until_it_is_revoked()
    {
        var user = await host.RegisterAsync();
        using var reader = await user.KeyClientAsync("read");
        using var writer = await user.KeyClientAsync("write");
        var created = await ReadAsync<ApiKeyCreated>(await user.Client.PostAsJsonAsync("/api/auth/keys", new ApiKeyRequest { Name = "laptop", Scopes = ["chat"] }, ContractJson.Options, Ct));
        using var header = host.Client();
        header.DefaultRequestHeaders.Add("X-API-Key", created.Key);

        Assert.Equal(HttpStatusCode.OK, (await reader.GetAsync("/api/auth/me", Ct)).StatusCode);
        await Refused(HttpStatusCode.Forbidden, "insufficient_scope", await reader.PatchAsJsonAsync("/api/auth/me", new ProfilePatch { DisplayName = "x" }, ContractJson.Options, Ct));
        Assert.Equal(HttpStatusCode.OK, (await writer.PatchAsJsonAsync("/api/auth/me", new ProfilePatch { DisplayName = "x" }, ContractJson.Options, Ct)).StatusCode);
        await Refused(HttpStatusCode.Forbidden, "insufficient_scope", await header.GetAsync("/api/auth/me", Ct));
        await Refused(HttpStatusCode.Forbidden, "insufficient_scope", await writer.PostAsJsonAsync("/api/auth/keys", new ApiKeyRequest { Name = "more", Scopes = ["write"] }, ContractJson.Options, Ct));

        var listed = await user.Client.GetFromJsonAsync<Page<ApiKeySummary>>("/api/auth/keys", ContractJson.Options, Ct);
        Assert.Equal(3, listed!.Items.Count);
        Assert.Equal((created.Summary.Id, created.Key[..11]), (listed.Items[0].Id, listed.Items[0].Prefix));
        Assert.NotNull(listed.Items[2].LastUsedAt);

        Assert.Equal(HttpStatusCode.NoContent, (await user.Client.DeleteAsync($"/api/auth/keys/{created.Summary.Id}", Ct)).StatusCode);
        await Refused(HttpStatusCode.Unauthorized, "invalid_token", await header.GetAsync("/api/auth/me", Ct));
        await Refused(HttpStatusCode.NotFound, "not_found", await user.Client.DeleteAsync($"/api/auth/keys/{created.Summary.Id}", Ct));
        var stranger = await host.RegisterAsync("stranger");
        await Refused(HttpStatusCode.NotFound, "not_found", await stranger.Client.DeleteAsync($"/api/auth/keys/{listed.Items[1].Id}", Ct));
        Assert.Equal(HttpStatusCode.OK, (await reader.GetAsync("/api/auth/me", Ct)).StatusCode);
    }

    [Fact]
    public async Task A_repeated_key_is_made_once_and_its_secret_is_neither_kept_nor_shown_again()
    {
        var user = await host.RegisterAsync("repeats");
        using var first = await CreateKeyAsync(user, "laptop");
        var made = await ReadAsync<ApiKeyCreated>(first);
        using var again = await CreateKeyAsync(user, "laptop");
        Assert.Equal((HttpStatusCode.Created, first.Headers.Location), (first.StatusCode, again.Headers.Location));
        await Refused(HttpStatusCode.Conflict, "secret_already_shown", again);
        using var other = await CreateKeyAsync(user, "phone");
        await Refused(HttpStatusCode.UnprocessableEntity, "idempotency_key_reused", other);

        // As if the process had died before the answer was kept.
        var database = host.App.Services.GetRequiredService<Database>().ForOwner(user.Id.Value);
        await database.ExecuteAsync("update idempotency_keys set status = null, body = null, locked_until = now() - interval '1 s' where owner_id = $1", [user.Id.Value], Ct);
        using var afterDeath = await CreateKeyAsync(user, "laptop");
        await Refused(HttpStatusCode.Conflict, "secret_already_shown", afterDeath);

        Assert.Equal(made.Summary.Id, Assert.Single((await user.Client.GetFromJsonAsync<Page<ApiKeySummary>>("/api/auth/keys", ContractJson.Options, Ct))!.Items).Id);
        var kept = await database.QueryAsync("select convert_from(coalesce(body, ''::bytea), 'UTF8') from idempotency_keys where owner_id = $1", [user.Id.Value], row => row.GetString(0), Ct);
        Assert.DoesNotContain(made.Key, Assert.Single(kept), StringComparison.Ordinal);

        static Task<HttpResponseMessage> CreateKeyAsync(TestUser user, string name)
        {
            var request = new HttpRequestMessage(HttpMethod.Post, "/api/auth/keys") { Content = JsonContent.Create(new ApiKeyRequest { Name = name, Scopes = ["chat"] }, options: ContractJson.Options) };
            request.Headers.Add("Idempotency-Key", "key-1");
            return user.Client.SendAsync(request, Ct);
        }
    }

    [Theory]
    [InlineData("""{"name":"","scopes":["read"]}""")]
    [InlineData("""{"name":"x","scopes":[]}""")]
    [InlineData("""{"name":"x","scopes":["everything"]}""")]
    [InlineData("""{"name":"x","scopes":["read","read"]}""")]
    [InlineData("""{"name":"x","scopes":["admin"]}""")]
    [InlineData("""{"name":"x","scopes":["read"],"expiresAt":"2020-01-01T00:00:00Z"}""")]
    public async Task Bad_keys_are_refused(string body)
    {
        var user = await host.RegisterAsync();
        using var response = await user.Client.PostAsync("/api/auth/keys", new StringContent(body, System.Text.Encoding.UTF8, "application/json"), Ct);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Keys_are_listed_in_pages_and_their_number_is_bounded()
    {
        await using var small = await ApiHost.StartAsync(new() { ["Auth:MaxApiKeysPerUser"] = "5" });
        for (var i = 0; i < 5; i++)
        {
            (await small.Admin.KeyClientAsync("read")).Dispose();
        }

        await Refused(HttpStatusCode.Conflict, "too_many_keys", await small.Admin.Client.PostAsJsonAsync("/api/auth/keys", new ApiKeyRequest { Name = "x", Scopes = ["read"] }, ContractJson.Options, Ct));
        var seen = new List<ApiKeyId>();
        for (string? cursor = ""; cursor is not null;)
        {
            var page = await small.Admin.Client.GetFromJsonAsync<Page<ApiKeySummary>>($"/api/auth/keys?limit=2{(cursor.Length > 0 ? "&cursor=" + cursor : "")}", ContractJson.Options, Ct);
            seen.AddRange(page!.Items.Select(key => key.Id));
            cursor = page.NextCursor;
        }

        Assert.Equal(5, seen.Distinct().Count());
        foreach (var bad in new[] { "limit=0", "limit=-1", "limit=101", "limit=2147483648", "limit=x", "cursor=x", "cursor=AAAA" })
        {
            Assert.Equal(HttpStatusCode.BadRequest, (await small.Admin.Client.GetAsync($"/api/auth/keys?{bad}", Ct)).StatusCode);
        }
    }

    private static RegisterRequest Registering(string email, string? setupToken = null) => new() { Email = email, Password = ApiHost.Password, SetupToken = setupToken };

    private static Task<HttpResponseMessage> LoginAsync(HttpClient client, string email, string password) =>
        client.PostAsJsonAsync("/api/auth/login", new LoginRequest { Email = email, Password = password }, ContractJson.Options, Ct);

    private static Task<HttpResponseMessage> RefreshAsync(HttpClient client, string token) =>
        client.PostAsJsonAsync("/api/auth/refresh", new RefreshRequest { RefreshToken = token }, ContractJson.Options, Ct);

    private static Task<HttpResponseMessage> ChangeAsync(TestUser user, string current, string next) =>
        user.Client.PostAsJsonAsync("/api/auth/password", new PasswordChangeRequest { CurrentPassword = current, NewPassword = next }, ContractJson.Options, Ct);

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response)
    {
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Ct));
        return (await response.Content.ReadFromJsonAsync<T>(ContractJson.Options, Ct))!;
    }

    private static async Task<JsonElement> Refused(HttpStatusCode status, string code, HttpResponseMessage response)
    {
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>(Ct);
        Assert.Equal((status, code, "application/problem+json"), (response.StatusCode, problem.GetProperty("code").GetString(), response.Content.Headers.ContentType?.MediaType));
        return problem;
    }

    private async Task ExecuteAsync(string sql, params object[] parameters)
    {
        await using var source = NpgsqlDataSource.Create(host.ConnectionString);
        await using var command = source.CreateCommand(sql);
        foreach (var parameter in parameters)
        {
            command.Parameters.Add(new NpgsqlParameter { Value = parameter });
        }

        await command.ExecuteNonQueryAsync(Ct);
    }

    private async Task<string?> ScalarAsync(string sql, object parameter)
    {
        await using var source = NpgsqlDataSource.Create(host.ConnectionString);
        await using var command = source.CreateCommand(sql);
        command.Parameters.Add(new NpgsqlParameter { Value = parameter });
        return await command.ExecuteScalarAsync(Ct) as string;
    }
}
