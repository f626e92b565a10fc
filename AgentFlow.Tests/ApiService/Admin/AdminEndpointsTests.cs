using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.ApiService.Admin;
using AgentFlow.ApiService.Identity;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Admin;
using AgentFlow.Contracts.Auth;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Admin;

public sealed class AdminEndpointsTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Accounts_are_listed_found_and_paged()
    {
        var user = await host.RegisterAsync("findme");
        (await user.KeyClientAsync("read")).Dispose();

        var found = Assert.Single((await GetAsync<Page<AdminUser>>("/api/admin/users?q=FINDME")).Items);
        var one = await GetAsync<AdminUser>($"/api/admin/users/{user.Id}");
        var page = await GetAsync<Page<AdminUser>>("/api/admin/users?limit=1");

        Assert.Equal((user.Id, user.Email, UserRole.User, false, 1, 1), (found.Id, found.Email, found.Role, found.Disabled, found.Sessions, found.ApiKeys));
        Assert.Equal(found, one);
        Assert.NotNull(page.NextCursor);
        Assert.NotEqual(page.Items[0].Id, (await GetAsync<Page<AdminUser>>($"/api/admin/users?limit=1&cursor={page.NextCursor}")).Items[0].Id);
        await StatusAsync(HttpStatusCode.BadRequest, host.Admin.Client.GetAsync("/api/admin/users?limit=0", Ct));
        await StatusAsync(HttpStatusCode.NotFound, host.Admin.Client.GetAsync($"/api/admin/users/{Guid.CreateVersion7()}", Ct));
    }

    [Fact]
    public async Task Activity_has_every_day_and_counts_what_ended()
    {
        var before = await GetAsync<Page<ActivityDay>>("/api/admin/activity?days=3");
        using (await host.Admin.Client.PostAsJsonAsync("/api/v1/chat/query", new { question = "Is anything there?" }, Ct)) { }
        var after = await GetAsync<Page<ActivityDay>>("/api/admin/activity?days=3");

        Assert.Equal(3, before.Items.Count);
        Assert.True(after.Items.Sum(day => day.Runs) > before.Items.Sum(day => day.Runs));
        Assert.Contains(after.Items, day => day is { Runs: > 0, MedianMs: > 0, SlowMs: > 0 });
        await StatusAsync(HttpStatusCode.BadRequest, host.Admin.Client.GetAsync("/api/admin/activity?days=367", Ct));
    }

    [Fact]
    public async Task A_disabled_account_is_out_everywhere_and_back_when_enabled()
    {
        var user = await host.RegisterAsync("disabled");
        using var key = await user.KeyClientAsync("read");
        using var anonymous = host.Client();
        await StatusAsync(HttpStatusCode.OK, user.Client.GetAsync("/api/auth/me", Ct));
        await StatusAsync(HttpStatusCode.OK, key.GetAsync("/api/auth/me", Ct));

        Assert.True((await PatchAsync(user.Id, new AdminUserPatch { Disabled = true })).Disabled);

        await StatusAsync(HttpStatusCode.Unauthorized, user.Client.GetAsync("/api/auth/me", Ct));
        await StatusAsync(HttpStatusCode.Unauthorized, key.GetAsync("/api/auth/me", Ct));
        await StatusAsync(HttpStatusCode.Unauthorized, anonymous.PostAsJsonAsync("/api/auth/refresh", new RefreshRequest { RefreshToken = user.Tokens.RefreshToken }, ContractJson.Options, Ct));
        await StatusAsync(HttpStatusCode.Forbidden, LoginAsync(anonymous, user.Email, ApiHost.Password));

        Assert.False((await PatchAsync(user.Id, new AdminUserPatch { Disabled = false })).Disabled);
        await StatusAsync(HttpStatusCode.OK, LoginAsync(anonymous, user.Email, ApiHost.Password));
        await StatusAsync(HttpStatusCode.OK, key.GetAsync("/api/auth/me", Ct));
        await StatusAsync(HttpStatusCode.Unauthorized, user.Client.GetAsync("/api/auth/me", Ct));
    }

    [Fact]
    public async Task A_change_on_another_replica_is_seen_within_five_seconds()
    {
        var user = await host.RegisterAsync("replica");
        await using var other = await ApiHost.StartAsync(new() { ["ConnectionStrings:agentflow-api"] = host.ConnectionString, ["Test:NoAdmin"] = "1" });
        using var there = other.Client(user.Tokens.AccessToken);
        await StatusAsync(HttpStatusCode.OK, there.GetAsync("/api/auth/me", Ct));

        await PatchAsync(user.Id, new AdminUserPatch { Disabled = true });

        // The replica asks the database again when what it knows is this old, on a machine of any speed.
        Assert.InRange(AccessStates.MaxAge, TimeSpan.Zero, TimeSpan.FromSeconds(4));
        await Patience.UntilAsync(async () => (await there.GetAsync("/api/auth/me", Ct)).StatusCode, status => status is HttpStatusCode.Unauthorized, "the replica's refusal");
    }

    [Fact]
    public async Task The_last_administrator_stays_and_roles_take_effect()
    {
        await using var fresh = await ApiHost.StartAsync([]);
        await StatusAsync(HttpStatusCode.Conflict, PatchAsync(fresh.Admin, fresh.Admin.Id, """{"disabled":true}"""));
        await StatusAsync(HttpStatusCode.Conflict, PatchAsync(fresh.Admin, fresh.Admin.Id, """{"role":"user"}"""));
        await StatusAsync(HttpStatusCode.Conflict, fresh.Admin.Client.DeleteAsync($"/api/admin/users/{fresh.Admin.Id}", Ct));
        var second = await fresh.RegisterAsync("second");
        await StatusAsync(HttpStatusCode.Forbidden, second.Client.GetAsync("/api/admin/stats", Ct));

        await StatusAsync(HttpStatusCode.OK, PatchAsync(fresh.Admin, second.Id, """{"role":"admin"}"""));
        await StatusAsync(HttpStatusCode.OK, second.Client.GetAsync("/api/admin/stats", Ct));
        await StatusAsync(HttpStatusCode.OK, PatchAsync(second, fresh.Admin.Id, """{"role":"user"}"""));
        await StatusAsync(HttpStatusCode.Forbidden, fresh.Admin.Client.GetAsync("/api/admin/stats", Ct));
        await StatusAsync(HttpStatusCode.NotFound, PatchAsync(second, OwnerId.New(), """{"role":"user"}"""));
        await StatusAsync(HttpStatusCode.BadRequest, PatchAsync(second, second.Id, """{"email":"x@example.test"}"""));
    }

    [Fact]
    public async Task An_invite_admits_one_account_with_its_role()
    {
        await using var closed = await ApiHost.StartAsync(new() { ["Auth:Registration"] = "invite" });
        using var client = closed.Client();
        var invite = await ReadAsync<InviteCreated>(await closed.Admin.Client.PostAsJsonAsync("/api/admin/invites", new InviteRequest { Email = "New@Example.test", Role = UserRole.Admin }, ContractJson.Options, Ct));

        await StatusAsync(HttpStatusCode.Forbidden, JoinAsync(client, "new@example.test", null));
        await StatusAsync(HttpStatusCode.Forbidden, JoinAsync(client, "other@example.test", invite.Token));
        await StatusAsync(HttpStatusCode.Forbidden, JoinAsync(client, "new@example.test", invite.Token[..^1] + "_"));
        var joined = await ReadAsync<TokenResponse>(await JoinAsync(client, "new@example.test", invite.Token));
        await StatusAsync(HttpStatusCode.Forbidden, JoinAsync(client, "another@example.test", invite.Token));

        Assert.Equal(UserRole.Admin, joined.User.Role);
        Assert.NotNull(Assert.Single((await closed.Admin.Client.GetFromJsonAsync<Page<Invite>>("/api/admin/invites", ContractJson.Options, Ct))!.Items).UsedAt);
        await StatusAsync(HttpStatusCode.NotFound, closed.Admin.Client.DeleteAsync($"/api/admin/invites/{invite.Invite.Id}", Ct));
        var spare = await ReadAsync<InviteCreated>(await closed.Admin.Client.PostAsJsonAsync("/api/admin/invites", new InviteRequest(), ContractJson.Options, Ct));
        await StatusAsync(HttpStatusCode.NoContent, closed.Admin.Client.DeleteAsync($"/api/admin/invites/{spare.Invite.Id}", Ct));
        await StatusAsync(HttpStatusCode.Forbidden, JoinAsync(client, "late@example.test", spare.Token));
        await StatusAsync(HttpStatusCode.BadRequest, closed.Admin.Client.PostAsJsonAsync("/api/admin/invites", new InviteRequest { Email = "nowhere" }, ContractJson.Options, Ct));
    }

    [Fact]
    public async Task A_reset_password_replaces_the_old_one_and_ends_sign_ins()
    {
        var user = await host.RegisterAsync("reset");
        using var client = host.Client();

        var reset = await ReadAsync<PasswordReset>(await host.Admin.Client.PostAsync($"/api/admin/users/{user.Id}/reset-password", null, Ct));

        await StatusAsync(HttpStatusCode.Unauthorized, user.Client.GetAsync("/api/auth/me", Ct));
        await StatusAsync(HttpStatusCode.Unauthorized, LoginAsync(client, user.Email, ApiHost.Password));
        await StatusAsync(HttpStatusCode.OK, LoginAsync(client, user.Email, reset.Password));
        await StatusAsync(HttpStatusCode.NotFound, host.Admin.Client.PostAsync($"/api/admin/users/{Guid.CreateVersion7()}/reset-password", null, Ct));
    }

    [Fact]
    public async Task The_command_on_the_server_resets_a_lost_administrators_password()
    {
        await using var fresh = await ApiHost.StartAsync([]);
        using var client = fresh.Client();

        Assert.Equal(1, await UserCommand.RunAsync(fresh.Services, "reset-password", "nobody@example.test"));
        Assert.Equal(0, await UserCommand.RunAsync(fresh.Services, "reset-password", fresh.Admin.Email));
        Assert.Equal(0, await UserCommand.RunAsync(fresh.Services, "create-admin", "rescue@example.test"));

        await StatusAsync(HttpStatusCode.Unauthorized, LoginAsync(client, fresh.Admin.Email, ApiHost.Password));
    }

    [Fact]
    public async Task A_deleted_account_is_out_at_once_and_erased_with_all_that_it_has()
    {
        await using var fresh = await ApiHost.StartAsync(new() { ["Test:Memory"] = "1" });
        var user = await fresh.RegisterAsync("deleted");
        (await user.KeyClientAsync("read")).Dispose();
        (await user.Client.PostAsJsonAsync("/api/memories", new { text = "I like tea." }, Ct)).EnsureSuccessStatusCode();

        using var accepted = await fresh.Admin.Client.DeleteAsync($"/api/admin/users/{user.Id}", Ct);

        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        await StatusAsync(HttpStatusCode.Unauthorized, user.Client.GetAsync("/api/auth/me", Ct));
        await Patience.UntilAsync(
            async () => (await fresh.Admin.Client.GetAsync($"/api/admin/users/{user.Id}", Ct)).StatusCode, status => status is HttpStatusCode.NotFound, "the end of the erasure");

        Assert.Equal(HttpStatusCode.Created, (await fresh.Client().PostAsJsonAsync("/api/auth/register", new RegisterRequest { Email = user.Email, Password = ApiHost.Password }, ContractJson.Options, Ct)).StatusCode);
        var audit = await fresh.Admin.Client.GetFromJsonAsync<Page<AuditEntry>>($"/api/admin/audit?userId={user.Id}", ContractJson.Options, Ct);
        Assert.Contains(AuditActions.AccountDeleted, audit!.Items.Select(entry => entry.Action));
    }

    [Fact]
    public async Task The_audit_log_tells_who_did_what_in_pages()
    {
        var user = await host.RegisterAsync("audited");
        using var client = host.Client();
        await LoginAsync(client, user.Email, "wrong horse battery staple");
        await PatchAsync(user.Id, new AdminUserPatch { DisplayName = "Renamed" });

        var entries = (await GetAsync<Page<AuditEntry>>($"/api/admin/audit?userId={user.Id}")).Items;
        var page = await GetAsync<Page<AuditEntry>>($"/api/admin/audit?userId={user.Id}&limit=1");
        var next = await GetAsync<Page<AuditEntry>>($"/api/admin/audit?userId={user.Id}&limit=1&cursor={page.NextCursor}");

        Assert.Equal([AuditActions.AccountChanged, AuditActions.SignInFailed, AuditActions.SignedIn, AuditActions.Registered], entries.Select(entry => entry.Action));
        Assert.Equal((host.Admin.Id, (OwnerId?)null), (entries[0].ActorId!.Value, entries[1].ActorId));
        Assert.Equal([entries[0].Id, entries[1].Id], [page.Items[0].Id, next.Items[0].Id]);
        Assert.Single((await GetAsync<Page<AuditEntry>>($"/api/admin/audit?userId={user.Id}&action={AuditActions.SignedIn}")).Items);
        await StatusAsync(HttpStatusCode.BadRequest, host.Admin.Client.GetAsync("/api/admin/audit?limit=0", Ct));
    }

    [Fact]
    public async Task Stats_health_and_settings_are_shown_to_administrators_only()
    {
        var user = await host.RegisterAsync();
        var stats = await GetAsync<AdminStats>("/api/admin/stats");
        Assert.True(stats.Users >= 2 && stats.DatabaseBytes > 0 && stats.Tables.Any(table => table.Table == "users"));
        Assert.True((await GetAsync<JsonElement>("/api/admin/health")).TryGetProperty("checks", out _));
        foreach (var path in new[] { "stats", "health", "configuration", "audit", "users", "invites" })
        {
            await StatusAsync(HttpStatusCode.Forbidden, user.Client.GetAsync($"/api/admin/{path}", Ct));
        }
    }

    [Fact]
    public async Task Settings_are_shown_without_any_secret()
    {
        var settings = await host.Admin.Client.GetStringAsync("/api/admin/configuration", Ct);

        Assert.DoesNotContain(ApiHost.SetupToken, settings, StringComparison.Ordinal);
        Assert.DoesNotContain(Convert.ToBase64String(ApiHost.Secret), settings, StringComparison.Ordinal);
        Assert.DoesNotContain("Password=", settings, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("\"Limits:ChatPerMinute\"", settings, StringComparison.Ordinal);
        Assert.Equal("(hidden)", SettingsInUse.Show("Models:Providers:0:ApiKey", "sk-short"));
        Assert.Equal("(hidden)", SettingsInUse.Show("Models:Providers:0:Endpoint", "https://user:pw@example.org"));
        Assert.Equal("https://api.example.org/v1", SettingsInUse.Show("Models:Providers:0:Endpoint", "https://api.example.org/v1"));
        Assert.Equal("50", SettingsInUse.Show("Auth:MaxApiKeysPerUser", "50"));
    }

    private async Task<T> GetAsync<T>(string path) => (await host.Admin.Client.GetFromJsonAsync<T>(path, ContractJson.Options, Ct))!;

    private async Task<AdminUser> PatchAsync(OwnerId user, AdminUserPatch patch) =>
        await ReadAsync<AdminUser>(await host.Admin.Client.PatchAsJsonAsync($"/api/admin/users/{user}", patch, ContractJson.Options, Ct));

    private static Task<HttpResponseMessage> PatchAsync(TestUser admin, OwnerId user, string json) =>
        admin.Client.PatchAsync($"/api/admin/users/{user}", new StringContent(json, System.Text.Encoding.UTF8, "application/json"), Ct);

    private static Task<HttpResponseMessage> LoginAsync(HttpClient client, string email, string password) =>
        client.PostAsJsonAsync("/api/auth/login", new LoginRequest { Email = email, Password = password }, ContractJson.Options, Ct);

    private static Task<HttpResponseMessage> JoinAsync(HttpClient client, string email, string? invite) =>
        client.PostAsJsonAsync("/api/auth/register", new RegisterRequest { Email = email, Password = ApiHost.Password, InviteToken = invite }, ContractJson.Options, Ct);

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response)
    {
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Ct));
        return (await response.Content.ReadFromJsonAsync<T>(ContractJson.Options, Ct))!;
    }

    private static async Task StatusAsync(HttpStatusCode expected, Task<HttpResponseMessage> sending)
    {
        using var response = await sending;
        Assert.True(expected == response.StatusCode, $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Ct)}");
    }
}
