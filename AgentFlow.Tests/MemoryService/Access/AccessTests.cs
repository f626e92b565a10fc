using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Access;

public sealed class AccessTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("Bearer")]
    [InlineData("Token")]
    [InlineData("X-API-Key")]
    public async Task A_key_is_taken_in_each_of_the_usual_headers(string way)
    {
        var (_, key) = await fixture.Host.CreateKeyAsync();
        using var client = fixture.Host.Client(null);
        if (way == "X-API-Key")
            client.DefaultRequestHeaders.Add(way, key);
        else
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue(way, key);
        Assert.Empty((await client.ListAsync()).Items);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("af_mem_unknown")]
    [InlineData("nonsense")]
    [InlineData("eyJhbGciOiJub25lIn0.e30.")]
    public async Task Without_a_valid_credential_nothing_is_answered(string? key)
    {
        using var client = fixture.Host.Client(key);
        using var response = await client.GetAsync("/api/memories", Ct);
        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.NotEmpty(response.Headers.WwwAuthenticate);
    }

    [Fact]
    public async Task An_internal_token_acts_for_its_owner_within_its_scopes()
    {
        var owner = Guid.CreateVersion7();
        var tokens = fixture.Host.Get<InternalTokens>();
        using var writer = fixture.Host.Client(tokens.Issue(owner, ["memory.read", "memory.write"]));
        using var reader = fixture.Host.Client(tokens.Issue(owner, ["memory.read"]));
        await writer.AddVerbatimAsync("said to the api");

        Assert.Single((await reader.ListAsync()).Items);
        Assert.Equal((403, "forbidden"), await reader.PostTextAsync("/api/memories", """{"text":"x","userId":"u"}""").RefusalAsync());
    }

    [Fact]
    public async Task A_key_does_only_what_its_scopes_say()
    {
        using var reader = await fixture.Host.ClientAsync(null, null, "read");
        Assert.Equal((403, "forbidden"), await reader.DeleteAsync("/api/memories?userId=u", Ct).RefusalAsync());
        Assert.Equal((403, "forbidden"), await reader.GetAsync("/api/keys", Ct).RefusalAsync());
        Assert.Empty((await reader.ListAsync()).Items);
    }

    [Fact]
    public async Task A_key_with_a_fixed_subject_sees_and_writes_nothing_else()
    {
        var owner = Guid.CreateVersion7();
        using var all = await fixture.Host.ClientAsync(owner);
        using var alice = await fixture.Host.ClientAsync(owner, new MemoryScope { UserId = "alice" });
        var bobs = (await all.AddVerbatimAsync("bob likes walnuts", "bob")).Items.Single().Id;
        await all.AddVerbatimAsync("alice likes walnuts", "alice");
        var unnamed = await alice.AddAsync(new AddMemoryRequest { Text = "hers by her key alone", SessionId = "s", Infer = false });

        Assert.Equal(["alice likes walnuts"], (await alice.SearchAsync("walnuts", "{}")).Items.Where(item => item.Text.Contains("walnuts", StringComparison.Ordinal)).Select(item => item.Text));
        Assert.Empty((await alice.SearchAsync("walnuts", """{"userId":"bob"}""")).Items);
        Assert.Empty((await alice.SearchAsync("walnuts", """{"OR":[{"userId":"bob"}]}""")).Items);
        Assert.Equal(2, (await alice.ListAsync()).Items.Count);
        Assert.Equal("alice", (await MemoryCalls.ReadAsync<MemoryItem>(await alice.GetAsync($"/api/memories/{unnamed.Items.Single().Id}", Ct))).UserId);
        Assert.Equal((404, "not_found"), await alice.GetAsync($"/api/memories/{bobs}", Ct).RefusalAsync());
        Assert.Equal((404, "not_found"), await alice.DeleteAsync($"/api/memories/{bobs}", Ct).RefusalAsync());
        Assert.Equal((403, "subject_not_allowed"), await alice.PostTextAsync("/api/memories", """{"text":"x","userId":"bob","infer":false}""").RefusalAsync());
        Assert.Equal((403, "subject_not_allowed"), await alice.DeleteAsync("/api/memories?userId=bob", Ct).RefusalAsync());
    }

    [Fact]
    public async Task Keys_are_made_listed_without_the_secret_and_revoked()
    {
        using var admin = await fixture.Host.ClientAsync();
        var created = await MemoryCalls.ReadAsync<CreatedMemoryKey>(
            await admin.PostAsJsonAsync("/api/keys", new NewMemoryKey { Name = "laptop", Scopes = ["read"] }, ContractJson.Options, Ct));
        using var client = fixture.Host.Client(created.Secret);
        Assert.Empty((await client.ListAsync()).Items);

        var listed = await admin.GetStringAsync("/api/keys", Ct);
        Assert.Contains(created.Key.Prefix, listed, StringComparison.Ordinal);
        Assert.DoesNotContain(created.Secret, listed, StringComparison.Ordinal);
        using var revoked = await admin.DeleteAsync($"/api/keys/{created.Key.Id}", Ct);
        Assert.Equal(HttpStatusCode.NoContent, revoked.StatusCode);
        Assert.Equal((401, "unauthorized"), await client.GetAsync("/api/memories", Ct).RefusalAsync());
        Assert.Equal((404, "not_found"), await admin.DeleteAsync($"/api/keys/{created.Key.Id}", Ct).RefusalAsync());
        Assert.Equal((400, "invalid_request"), await admin.PostTextAsync("/api/keys", """{"name":"x","scopes":["root"]}""").RefusalAsync());
    }

    [Fact]
    public async Task Health_asks_for_no_credential()
    {
        using var client = fixture.Host.Client(null);
        Assert.Equal("""{"status":"ok"}""", await client.GetStringAsync("/health", Ct));
        Assert.Contains("\"ready\"", await client.GetStringAsync("/ready", Ct), StringComparison.Ordinal);
        Assert.Contains("/api/memories/search", await client.GetStringAsync("/openapi/v1.json", Ct), StringComparison.Ordinal);
    }
}
