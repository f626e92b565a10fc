using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService;
using AgentFlow.ServiceDefaults.Settings;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.Configuration;

namespace AgentFlow.Tests.MemoryService.Mem0.Backend;

/// <summary>A service that keeps its memories at Mem0's hosted API; for that API stands another service of ours, which speaks it.</summary>
public sealed class Mem0BackendFixture : IAsyncLifetime
{
    public MemoryHost Upstream { get; private set; } = null!;

    public MemoryHost Host { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Upstream = await MemoryHost.StartAsync();
        var (_, key) = await Upstream.CreateKeyAsync(null, null, "read", "write");
        Host = await MemoryHost.StartAsync(settings: [("Memory:Backend", "mem0"), ("Memory:Mem0:Address", Upstream.Address.ToString()), ("MEM0_API_KEY", key)]);
    }

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        await Upstream.DisposeAsync();
    }
}

public sealed class Mem0BackendTests(Mem0BackendFixture fixture) : IClassFixture<Mem0BackendFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_memory_lives_and_dies_at_Mem0()
    {
        using var client = await fixture.Host.ClientAsync();
        var added = await client.AddAsync(new AddMemoryRequest
        {
            Text = "The deploy key is on the red stick", UserId = "u", SessionId = "s", Infer = false, Metadata = JsonElement.Parse("""{"team":"ops","n":7}"""),
        });
        var id = added.Items.Single().Id;

        var found = (await client.SearchAsync("deploy key", """{"userId":"u","metadata":{"team":"ops"},"n":{"gte":7}}""")).Items.Single();
        Assert.Equal((id, "The deploy key is on the red stick", "u", "s"), (found.Id, found.Text, found.UserId, found.SessionId));
        Assert.True(found.Score > 0);
        Assert.Empty((await client.SearchAsync("deploy key", """{"userId":"u","NOT":{"metadata":{"team":"ops"}}}""")).Items);
        Assert.Equal([id], (await client.ListAsync("?userId=u")).Items.Select(item => item.Id));

        var edited = await MemoryCalls.ReadAsync<MemoryItem>(await client.PatchAsJsonAsync($"/api/memories/{id}", new { text = "The deploy key is gone" }, ContractJson.Options, Ct));
        Assert.Equal("The deploy key is gone", edited.Text);
        var history = await MemoryCalls.ReadAsync<Page<MemoryHistoryEntry>>(await client.GetAsync($"/api/memories/{id}/history", Ct));
        Assert.Equal([MemoryChange.Added, MemoryChange.Updated], history.Items.Select(entry => entry.Event));

        Assert.Equal(HttpStatusCode.NoContent, (await client.DeleteAsync($"/api/memories/{id}", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync($"/api/memories/{id}", Ct)).StatusCode);
        await client.AddVerbatimAsync("one");
        await client.AddVerbatimAsync("two");
        Assert.Equal(2, (await MemoryCalls.ReadAsync<DeletedMemories>(await client.DeleteAsync("/api/memories?userId=u", Ct))).Deleted);
        Assert.Empty((await client.ListAsync("?userId=u")).Items);
    }

    [Fact]
    public async Task A_batch_is_carried_out_at_Mem0_entry_by_entry_and_touches_nobody_elses()
    {
        using var client = await fixture.Host.ClientAsync();
        using var other = await fixture.Host.ClientAsync();
        var foreign = (await other.AddVerbatimAsync("Somebody else's")).Items.Single().Id;
        var (kept, edited, dated, gone) = (await AddAsync("kept"), await AddAsync("edited"), await AddAsync("dated"), await AddAsync("gone"));

        var results = await BatchAsync(client, new MemoryBatch
        {
            Add = [new AddMemoryRequest { Text = "added", UserId = "u", Infer = false }, new AddMemoryRequest { Text = "x", UserId = "u", Kind = MemoryKind.Procedure }, new AddMemoryRequest { Text = "x", UserId = "u", Async = true }],
            Update =
            [
                new MemoryBatchEdit(edited, new MemoryPatch { Text = "edited now", Metadata = JsonElement.Parse("""{"n":1}""") }),
                new MemoryBatchEdit(foreign, new MemoryPatch { Text = "mine" }),
                new MemoryBatchEdit(dated, new MemoryPatch { ExpiresAt = new DateTimeOffset(2031, 1, 1, 0, 0, 0, TimeSpan.Zero) }),
                new MemoryBatchEdit(kept, new MemoryPatch { Categories = ["c"] }),
            ],
            Delete = [gone, foreign, gone],
        });

        Assert.Equal(
            [("add", 0, 201, null), ("add", 1, 501, "not_at_mem0"), ("add", 2, 400, "invalid_request"),
             ("update", 0, 200, null), ("update", 1, 404, "not_found"), ("update", 2, 200, null), ("update", 3, 501, "not_at_mem0"),
             ("delete", 0, 204, null), ("delete", 1, 404, "not_found"), ("delete", 2, 404, "not_found")],
            results.Select(result => (result.Action, result.Index, result.Status, result.Code)));
        Assert.Equal(("edited now", 2031), (results[3].Updated!.Text, results[5].Updated!.ExpiresAt!.Value.Year));
        Assert.Equal(["added", "dated", "edited now", "kept"], (await client.ListAsync("?userId=u")).Items.Select(item => item.Text).Order(StringComparer.Ordinal));
        Assert.Equal("Somebody else's", (await other.ListAsync("?userId=u")).Items.Single().Text);
        Assert.Equal((400, "invalid_request"), await client.PostTextAsync("/api/memories/batch", "{}").RefusalAsync());

        async Task<MemoryId> AddAsync(string text) => (await client.AddVerbatimAsync(text)).Items.Single().Id;
    }

    [Fact]
    public async Task An_add_that_nobody_waits_for_is_told_by_an_event_of_its_owner()
    {
        using var client = await fixture.Host.ClientAsync();
        using var other = await fixture.Host.ClientAsync();
        using var accepted = await client.PostTextAsync("/api/memories", """{"text":"The kiln is lit on Mondays","userId":"u","infer":false,"async":true}""");
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        var address = accepted.Headers.Location!.ToString();

        var operation = await Patience.UntilAsync(async () => await MemoryCalls.ReadAsync<MemoryOperation>(await client.GetAsync(address, Ct)), state => state.Status is not ("pending" or "running"), "the add");
        Assert.Equal(("succeeded", "The kiln is lit on Mondays"), (operation.Status, operation.Result?.Items.Single().Text));
        Assert.Equal([operation.Result!.Items.Single().Id], (await client.ListAsync("?userId=u")).Items.Select(item => item.Id));
        Assert.Equal((404, "not_found"), await other.GetAsync(address, Ct).RefusalAsync());
        Assert.Equal((501, "not_at_mem0"), await client.PostTextAsync("/api/memories", """{"text":"x","userId":"u","async":true,"source":"s"}""").RefusalAsync());
    }

    private static async Task<IReadOnlyList<MemoryBatchResult>> BatchAsync(HttpClient client, MemoryBatch batch) =>
        (await MemoryCalls.ReadAsync<Page<MemoryBatchResult>>(await client.PostAsJsonAsync("/api/memories/batch", batch, ContractJson.Options, Ct))).Items;

    [Fact]
    public async Task Pages_follow_each_other_and_a_context_is_one_block()
    {
        using var client = await fixture.Host.ClientAsync();
        for (var i = 0; i < 3; i++)
            await client.AddVerbatimAsync($"Tulip number {i} is red");
        var first = await client.ListAsync("?userId=u&limit=2");
        var second = await client.ListAsync($"?userId=u&limit=2&cursor={first.NextCursor}");
        Assert.Equal((2, 1), (first.Items.Count, second.Items.Count));
        Assert.Null(second.NextCursor);
        var block = await MemoryCalls.ReadAsync<ContextBlock>(await client.PostTextAsync("/api/context", """{"query":"tulips","filter":{"userId":"u"},"tokenBudget":200}"""));
        Assert.Equal(3, block.Ids.Count);
    }

    [Fact]
    public async Task Owners_share_the_account_and_see_nothing_of_each_other()
    {
        using var ana = await fixture.Host.ClientAsync();
        using var bob = await fixture.Host.ClientAsync();
        var id = (await ana.AddVerbatimAsync("Ana's canary sings")).Items.Single().Id;

        Assert.Empty((await bob.SearchAsync("canary")).Items);
        Assert.Empty((await bob.SearchAsync("canary", """{"OR":[{"userId":"u"},{"userId":{"ne":"x"},"agentId":"a"}]}""")).Items);
        Assert.Empty((await bob.ListAsync("?userId=u")).Items);
        Assert.Equal(HttpStatusCode.NotFound, (await bob.GetAsync($"/api/memories/{id}", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await bob.GetAsync($"/api/memories/{id}/history", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await bob.DeleteAsync($"/api/memories/{id}", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await bob.PatchAsJsonAsync($"/api/memories/{id}", new { text = "mine" }, ContractJson.Options, Ct)).StatusCode);
        await bob.DeleteAsync("/api/memories?userId=u", Ct);
        Assert.Single((await ana.SearchAsync("canary")).Items);
    }

    [Theory]
    [InlineData("POST", "/api/memories/search", """{"query":"x","filter":{"userId":"u"},"asOf":"2026-01-01T00:00:00Z"}""")]
    [InlineData("POST", "/api/memories/search", """{"query":"x","filter":{"userId":"u","kind":"fact"}}""")]
    [InlineData("POST", "/api/memories", """{"text":"x","userId":"u","dryRun":true}""")]
    [InlineData("GET", "/api/memories?userId=u&superseded=true", null)]
    [InlineData("GET", "/api/review", null)]
    [InlineData("GET", "/api/events", null)]
    [InlineData("POST", "/api/subjects/erase", """{"userId":"u"}""")]
    [InlineData("GET", "/api/graph?userId=u", null)]
    [InlineData("GET", "/v1/ping/", null)]
    public async Task What_has_no_counterpart_there_answers_501_with_a_code(string method, string path, string? body)
    {
        using var client = await fixture.Host.ClientAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = body is null ? null : new StringContent(body, System.Text.Encoding.UTF8, "application/json") };
        Assert.Equal((501, "not_at_mem0"), await client.SendAsync(request, Ct).RefusalAsync());
    }

    [Fact]
    public async Task Where_Mem0_is_not_or_refuses_the_key_the_answer_says_so()
    {
        await using var away = await MemoryHost.StartAsync(settings: [("Memory:Backend", "mem0"), ("Memory:Mem0:Address", "http://127.0.0.1:9"), ("MEM0_API_KEY", "k")]);
        using var client = await away.ClientAsync();
        Assert.Equal((503, "mem0_unavailable"), await client.GetAsync("/api/memories?userId=u", Ct).RefusalAsync());
        await using var refused = await MemoryHost.StartAsync(settings: [("Memory:Backend", "mem0"), ("Memory:Mem0:Address", fixture.Upstream.Address.ToString()), ("MEM0_API_KEY", "af_mem_wrong")]);
        using var other = await refused.ClientAsync();
        Assert.Equal((502, "mem0_refused"), await other.GetAsync("/api/memories?userId=u", Ct).RefusalAsync());
    }

    [Fact]
    public void Without_a_key_it_refuses_to_start()
    {
        var error = Assert.Throws<SettingException>(() => MemoryServiceApplication.Build(["--environment", "Production"], builder => builder.Configuration.AddInMemoryCollection(
            [KeyValuePair.Create("ConnectionStrings:agentflow-memory", (string?)"Host=127.0.0.1;Password=x"), KeyValuePair.Create("Memory:Backend", (string?)"mem0"), KeyValuePair.Create("MEM0_API_KEY", (string?)"")])));
        Assert.Contains("MEM0_API_KEY", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_of_Mem0_alone_changes_nothing()
    {
        await using var host = await MemoryHost.StartAsync(settings: [("MEM0_API_KEY", "m0-lone"), ("Memory:Mem0:Address", "http://127.0.0.1:9")]);
        using var client = await host.ClientAsync();
        await client.AddVerbatimAsync("It stays here");
        Assert.Single((await client.SearchAsync("stays")).Items);
    }
}
