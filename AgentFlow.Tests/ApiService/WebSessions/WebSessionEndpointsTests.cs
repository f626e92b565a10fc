using System.Net;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.WebSessions;

public sealed class WebSessionEndpointsTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static readonly DateTimeOffset NextMonth = DateTimeOffset.UtcNow.AddDays(30);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Sessions_are_kept_found_replaced_and_dropped()
    {
        using var web = Web();
        var owner = host.Admin.Id;
        var key = Key('a');
        Assert.Equal(HttpStatusCode.NotFound, (await web.GetAsync($"/internal/web/sessions/{key}", Ct)).StatusCode);

        await PutAsync(web, key, new StoredWebSession(owner, "first", NextMonth), HttpStatusCode.NoContent);
        await PutAsync(web, key, new StoredWebSession(owner, "second", NextMonth), HttpStatusCode.NoContent);
        var found = await web.GetFromJsonAsync<StoredWebSession>($"/internal/web/sessions/{key}", ContractJson.Options, Ct);
        Assert.Equal((owner, "second"), (found!.OwnerId, found.Payload));

        Assert.Equal(HttpStatusCode.NoContent, (await web.DeleteAsync($"/internal/web/sessions/{key}", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await web.GetAsync($"/internal/web/sessions/{key}", Ct)).StatusCode);
    }

    [Fact]
    public async Task An_expired_session_is_not_found() =>
        await NotFoundAfterAsync(Key('b'), new StoredWebSession(host.Admin.Id, "old", DateTimeOffset.UtcNow.AddSeconds(-1)), HttpStatusCode.NoContent);

    [Fact]
    public async Task An_account_that_does_not_exist_keeps_no_session() =>
        await NotFoundAfterAsync(Key('c'), new StoredWebSession(OwnerId.New(), "nobody", NextMonth), HttpStatusCode.NotFound);

    [Fact]
    public async Task A_session_can_not_be_taken_over_by_another_account()
    {
        using var web = Web();
        var other = await host.RegisterAsync();
        await PutAsync(web, Key('d'), new StoredWebSession(host.Admin.Id, "mine", NextMonth), HttpStatusCode.NoContent);
        await PutAsync(web, Key('d'), new StoredWebSession(other.Id, "theirs", NextMonth), HttpStatusCode.NotFound);
        var found = await web.GetFromJsonAsync<StoredWebSession>($"/internal/web/sessions/{Key('d')}", ContractJson.Options, Ct);
        Assert.Equal("mine", found!.Payload);
    }

    [Fact]
    public async Task Payloads_have_a_limit()
    {
        using var web = Web();
        await PutAsync(web, Key('e'), new StoredWebSession(host.Admin.Id, new string('x', 16_384), NextMonth), HttpStatusCode.NoContent);
        await PutAsync(web, Key('e'), new StoredWebSession(host.Admin.Id, new string('x', 16_385), NextMonth), HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Keys_are_kept_once_and_listed()
    {
        using var web = Web();
        var key = new StoredWebKey("key-" + Guid.NewGuid(), "sealed");
        Assert.Equal(HttpStatusCode.NoContent, (await web.PostAsJsonAsync("/internal/web/keys", key, ContractJson.Options, Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await web.PostAsJsonAsync("/internal/web/keys", key with { Payload = "other" }, ContractJson.Options, Ct)).StatusCode);
        var kept = await web.GetFromJsonAsync<Page<StoredWebKey>>("/internal/web/keys", ContractJson.Options, Ct);
        Assert.Equal(key, Assert.Single(kept!.Items, item => item.Name == key.Name));
        Assert.Equal(HttpStatusCode.BadRequest, (await web.PostAsJsonAsync("/internal/web/keys", key with { Name = "" }, ContractJson.Options, Ct)).StatusCode);
    }

    [Fact]
    public async Task Nobody_but_the_web_gets_in()
    {
        using var anonymous = host.Client();
        Assert.Equal(HttpStatusCode.Unauthorized, (await anonymous.GetAsync("/internal/web/keys", Ct)).StatusCode);

        // Who it is, is known, and it is not the Web: 401 would ask a person to sign in who has.
        Assert.Equal(HttpStatusCode.Forbidden, (await host.Admin.Client.GetAsync("/internal/web/keys", Ct)).StatusCode);

        using var withAccess = host.Client();
        withAccess.DefaultRequestHeaders.Add("X-AgentFlow-Web", host.Admin.Tokens.AccessToken);
        Assert.Equal(HttpStatusCode.Unauthorized, (await withAccess.GetAsync("/internal/web/keys", Ct)).StatusCode);

        using var withInternal = host.Client();
        withInternal.DefaultRequestHeaders.Add("X-AgentFlow-Web", Codec().Sign(TokenProfile.Internal, host.Admin.Id.Value, TimeSpan.FromSeconds(30)));
        Assert.Equal(HttpStatusCode.Unauthorized, (await withInternal.GetAsync("/internal/web/keys", Ct)).StatusCode);
    }

    private async Task NotFoundAfterAsync(string key, StoredWebSession session, HttpStatusCode kept)
    {
        using var web = Web();
        await PutAsync(web, key, session, kept);
        Assert.Equal(HttpStatusCode.NotFound, (await web.GetAsync($"/internal/web/sessions/{key}", Ct)).StatusCode);
    }

    private static async Task PutAsync(HttpClient web, string key, StoredWebSession session, HttpStatusCode expected)
    {
        using var response = await web.PutAsJsonAsync($"/internal/web/sessions/{key}", session, ContractJson.Options, Ct);
        Assert.Equal(expected, response.StatusCode);
    }

    private static string Key(char letter) => new(letter, 64);

    private static JwtCodec Codec() => new(KeyRing.Parse(ApiHost.Keys), TimeProvider.System);

    private HttpClient Web()
    {
        var client = host.Client();
        client.DefaultRequestHeaders.Add("X-AgentFlow-Web", Codec().Sign(TokenProfile.Web, TokenProfile.WebSubject, TimeSpan.FromSeconds(60)));
        return client;
    }
}
