using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Ingestion;

public sealed class IngestionTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Without_a_model_rules_extract_and_say_so()
    {
        using var client = await fixture.Host.ClientAsync();
        var added = await client.AddAsync(new AddMemoryRequest
        {
            Messages = [new("system", "My name is Bot."), new("user", "My name is Alice. What is yours?"), new("assistant", "I prefer not to say.")], UserId = "u",
        });

        Assert.Equal("rules", added.Extraction);
        Assert.Equal(["My name is Alice."], added.Items.Select(item => item.Text));
        Assert.Equal(MemoryTrust.Inferred, (await client.ListAsync()).Items.Single().Trust);
    }

    [Fact]
    public async Task A_dry_run_stores_nothing()
    {
        using var client = await fixture.Host.ClientAsync();
        var added = await client.AddAsync(new AddMemoryRequest { Text = "My name is Alice", UserId = "u", DryRun = true });

        Assert.Equal((true, "My name is Alice"), (added.DryRun, added.Items.Single().Text));
        Assert.Empty((await client.ListAsync()).Items);
    }

    [Fact]
    public async Task A_dry_run_says_what_would_be_superseded_or_known_already_and_changes_neither()
    {
        using var client = await fixture.Host.ClientAsync();
        var alice = (await client.AddVerbatimAsync("My name is Alice")).Items.Single().Id;

        var other = await client.AddAsync(new AddMemoryRequest { Messages = [new("user", "My name is Bob.")], UserId = "u", DryRun = true });
        var same = await client.AddAsync(new AddMemoryRequest { Text = "My name is Alice", UserId = "u", Infer = false, DryRun = true });

        Assert.Equal((MemoryChange.Superseded, alice), (other.Items.Single().Event, other.Items.Single().Supersedes!.Value));
        Assert.Equal((MemoryChange.Duplicate, alice), (same.Items.Single().Event, same.Items.Single().Id));
        var left = (await client.ListAsync("?userId=u&superseded=true")).Items.Single();
        Assert.Equal((alice, 1, null), (left.Id, left.Version, left.ValidTo));
        Assert.Equal(alice, (await client.SearchAsync("name")).Items.Single().Id);
    }

    [Fact]
    public async Task An_asynchronous_add_is_polled_by_its_event()
    {
        using var client = await fixture.Host.ClientAsync();
        using var accepted = await client.PostAsJsonAsync("/api/memories", new AddMemoryRequest { Text = "My name is Alice", UserId = "u", Async = true }, ContractJson.Options, Ct);
        Assert.Equal(HttpStatusCode.Accepted, accepted.StatusCode);
        MemoryOperation operation;
        do
            operation = await MemoryCalls.ReadAsync<MemoryOperation>(await client.GetAsync(accepted.Headers.Location, Ct));
        while (operation.Status is "pending" or "running");

        Assert.Equal(("succeeded", MemoryChange.Added), (operation.Status, operation.Result!.Items.Single().Event));
        Assert.Equal(operation.Result.Items.Single().Id, (await client.ListAsync()).Items.Single().Id);
        using var stranger = await fixture.Host.ClientAsync();
        Assert.Equal((404, "not_found"), await stranger.GetAsync(accepted.Headers.Location, Ct).RefusalAsync());
    }

    [Fact]
    public async Task Each_entry_of_a_batch_has_a_result_of_its_own()
    {
        using var client = await fixture.Host.ClientAsync();
        var kept = (await client.AddVerbatimAsync("kept")).Items.Single().Id;
        var gone = (await client.AddVerbatimAsync("gone")).Items.Single().Id;
        using var response = await client.PostAsJsonAsync(
            "/api/memories/batch",
            new MemoryBatch
            {
                Add = [new AddMemoryRequest { Text = "new", UserId = "u", Infer = false }, new AddMemoryRequest { Text = "no scope" }],
                Update = [new MemoryBatchEdit(kept, new MemoryPatch { Text = "kept and changed" })],
                Delete = [gone, MemoryId.New()],
            },
            ContractJson.Options,
            Ct);

        var results = (await MemoryCalls.ReadAsync<Page<MemoryBatchResult>>(response)).Items;
        Assert.Equal(
            [("add", 0, 201, null), ("add", 1, 400, "no_scope"), ("update", 0, 200, null), ("delete", 0, 204, null), ("delete", 1, 404, "not_found")],
            results.Select(result => (result.Action, result.Index, result.Status, result.Code)));
        Assert.Equal(["kept and changed", "new"], (await client.ListAsync()).Items.Select(item => item.Text).Order());
        Assert.Equal((400, "invalid_request"), await client.PostTextAsync("/api/memories/batch", "{}").RefusalAsync());
    }

    [Fact]
    public async Task The_feed_tells_every_change_in_order_and_goes_on_from_its_cursor()
    {
        using var client = await fixture.Host.ClientAsync();
        var id = (await client.AddVerbatimAsync("first")).Items.Single().Id;
        var page = await FeedAsync(client, "/api/events", 1);
        Assert.Equal([(id, MemoryChange.Added)], page.Items.Select(entry => (entry.MemoryId, entry.Event)));
        (await client.DeleteAsync($"/api/memories/{id}", Ct)).EnsureSuccessStatusCode();
        await client.AddVerbatimAsync("second");

        var next = await FeedAsync(client, $"/api/events?cursor={page.NextCursor}", 2);
        Assert.Equal([MemoryChange.Deleted, MemoryChange.Added], next.Items.Select(entry => entry.Event));
        Assert.Equal((400, "invalid_request"), await client.GetAsync("/api/events?cursor=x", Ct).RefusalAsync());
    }

    /// <summary>The feed waits for older transactions anywhere in the cluster, and other tests have some.</summary>
    private static async Task<Page<MemoryFeedEntry>> FeedAsync(HttpClient client, string path, int count)
    {
        while (true)
        {
            var page = await MemoryCalls.ReadAsync<Page<MemoryFeedEntry>>(await client.GetAsync(path, Ct));
            if (page.Items.Count >= count)
                return page;
        }
    }
}
