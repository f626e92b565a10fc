using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Memories;
using AgentFlow.MemoryService.Search;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.MemoryService.Memories;

/// <summary>What was recorded when, what ends, and what counts less with age.</summary>
public sealed class TimeTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_was_known_then_is_found_in_its_words_of_then()
    {
        using var client = await fixture.Host.ClientAsync();
        var start = (await client.AddVerbatimAsync("The door code is 1234")).Items.Single().Id;
        var later = (await client.AddVerbatimAsync("My name is Ada")).Items.Single().Id;
        var then = (await ItemAsync(client, later)).CreatedAt;
        await client.PatchAsJsonAsync($"/api/memories/{start}", new { text = "The door code is 9876" }, ContractJson.Options, Ct);
        await client.AddVerbatimAsync("My name is Ada Lovelace");
        await client.AddVerbatimAsync("The window is open");
        await client.DeleteAsync("/api/memories?userId=nobody", Ct);

        Assert.Equal(["My name is Ada", "The door code is 1234"], await KnownAsync(client, then));
        Assert.Equal(["My name is Ada Lovelace", "The door code is 9876", "The window is open"], await KnownAsync(client, null));
        Assert.Equal(["The door code is 1234"], await KnownAsync(client, (await ItemAsync(client, start)).CreatedAt));
        Assert.Empty(await KnownAsync(client, then.AddYears(-1)));

        var found = await client.SearchAsync(new SearchMemoriesRequest { Query = "door code", Filter = System.Text.Json.JsonElement.Parse("""{"userId":"u"}"""), KnownAt = then, TopK = 1 });
        Assert.Equal(("The door code is 1234", 1), (found.Items.Single().Text, found.Items.Single().Version));
        Assert.Equal(
            (400, "invalid_request"),
            await client.PostTextAsync("/api/memories/search", $$"""{"query":"x","filter":{"userId":"u"},"knownAt":"{{then:O}}","explain":true,"explainId":"{{start}}"}""").RefusalAsync());
    }

    [Fact]
    public async Task Another_owner_knew_nothing_of_it()
    {
        using var ana = await fixture.Host.ClientAsync();
        using var bob = await fixture.Host.ClientAsync();
        await ana.AddVerbatimAsync("Ana's canary sings");
        Assert.Empty(await KnownAsync(bob, DateTimeOffset.UtcNow.AddDays(1)));
    }

    [Fact]
    public async Task What_has_expired_is_purged_everywhere_when_that_is_asked_for()
    {
        await using var host = await MemoryHost.StartAsync();
        using var client = await host.ClientAsync();
        var gone = (await client.AddAsync(new AddMemoryRequest { Text = "The ticket is Z-1", UserId = "u", Infer = false, ExpiresAt = DateTimeOffset.UtcNow.AddYears(1) })).Items.Single().Id;
        await client.AddVerbatimAsync("The ticket is Z-2");
        await host.Get<Database>().AsWorker().ExecuteAsync("update memories set expires_at = now() - interval '1 s', version = version + 1 where id = $1", [gone.Value], Ct);

        var sweep = ActivatorUtilities.CreateInstance<ExpirySweep>(host.App.Services);
        Assert.Equal(1, await sweep.RunOnceAsync(Ct));
        Assert.Equal(0, await sweep.RunOnceAsync(Ct));
        Assert.Equal(["The ticket is Z-2"], (await client.ListAsync("?expired=true")).Items.Select(item => item.Text));
        Assert.Equal("The ticket is Z-2", Assert.Single((await client.SearchAsync("ticket")).Items).Text);
        var text = await host.Get<Database>().AsWorker().QuerySingleAsync("select text from memories where id = $1", [gone.Value], reader => reader.GetString(0), Ct);
        Assert.Equal(string.Empty, text);
    }

    [Fact]
    public async Task The_row_of_a_deleted_memory_goes_when_it_is_old_and_no_index_waits_for_it()
    {
        await using var host = await MemoryHost.StartAsync(settings: [("Outbox:Enabled", "false")]);
        using var client = await host.ClientAsync();
        var ids = new List<Guid>();
        foreach (var text in (string[])["old", "waiting", "fresh", "alive"])
            ids.Add((await client.AddVerbatimAsync(text)).Items.Single().Id.Value);
        foreach (var id in ids[..3])
            await client.DeleteAsync($"/api/memories/{id}", Ct);
        var database = host.Get<Database>().AsWorker();
        await database.ExecuteAsync("update memories set updated_at = now() - interval '31 days' where id = any($1)", [ids.Where((_, i) => i != 2).ToArray()], Ct);

        // The writes of this process take their outbox rows away a moment later; this one is another process's.
        await UntilEmptyAsync(host);
        await database.ExecuteAsync("insert into index_outbox (entity_id, owner_id, version, op) select id, owner_id, version, 'delete' from memories where id = $1", [ids[1]], Ct);

        Assert.Equal(1, await ActivatorUtilities.CreateInstance<ExpirySweep>(host.App.Services).DropDeletedAsync(Ct));
        var left = await database.QueryAsync("select id from memories", [], reader => reader.GetGuid(0), Ct);
        Assert.Equal(ids[1..].Order(), left.Order());
    }

    private static Task UntilEmptyAsync(MemoryHost host) => Patience.UntilAsync(
        () => host.Get<Database>().AsWorker().QuerySingleAsync("select count(*) from index_outbox", [], reader => reader.GetInt64(0), Ct), count => count == 0, "the outbox is empty");

    [Fact]
    public async Task With_decay_the_newer_of_two_alike_is_first_and_the_score_says_why()
    {
        await using var host = await MemoryHost.StartAsync(settings: [("Memory:DecayHalfLife", "30.00:00:00"), ("Memory:DecayFloor", "0.3")]);
        using var client = await host.ClientAsync();
        await client.AddAsync(new AddMemoryRequest { Text = "Lunch was soup with bread", UserId = "u", Infer = false, ObservedAt = DateTimeOffset.UtcNow.AddDays(-3_000) });
        await client.AddAsync(new AddMemoryRequest { Text = "Lunch was soup with rice", UserId = "u", Infer = false });
        var found = await client.SearchAsync(new SearchMemoriesRequest { Query = "lunch soup", Filter = System.Text.Json.JsonElement.Parse("""{"userId":"u"}"""), Explain = true });
        Assert.Equal(["Lunch was soup with rice", "Lunch was soup with bread"], found.Items.Select(item => item.Text));
        Assert.Equal(0.3, found.Items[1].Scores!["decay"], 6);
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(30, 0.65)]
    [InlineData(60, 0.475)]
    [InlineData(-5, 1)]
    public void Age_halves_what_is_above_the_floor(int days, double factor) =>
        Assert.Equal(factor, MemoryDecay.Factor(TimeSpan.FromDays(days), TimeSpan.FromDays(30), 0.3), 9);

    [Fact]
    public async Task A_reranker_of_the_host_is_asked_only_by_searches_that_want_it()
    {
        await using var host = await MemoryHost.StartAsync(configure: builder => builder.Services.AddSingleton<IMemoryReranker, Backwards>());
        using var client = await host.ClientAsync();
        await client.AddVerbatimAsync("tulip tulip tulip in the garden");
        await client.AddVerbatimAsync("a tulip");
        var usual = (await client.SearchAsync("tulip garden")).Items.Select(item => item.Text).ToList();
        var other = await client.SearchAsync(new SearchMemoriesRequest { Query = "tulip garden", Filter = System.Text.Json.JsonElement.Parse("""{"userId":"u"}"""), Rerank = true });
        Assert.Equal(usual.AsEnumerable().Reverse(), other.Items.Select(item => item.Text));
    }

    private sealed class Backwards : IMemoryReranker
    {
        public Task<IReadOnlyList<FoundMemory>> RerankAsync(string query, IReadOnlyList<FoundMemory> found, CancellationToken ct) =>
            Task.FromResult<IReadOnlyList<FoundMemory>>([.. found.Reverse()]);
    }

    private static async Task<MemoryItem> ItemAsync(HttpClient client, MemoryId id) => await MemoryCalls.ReadAsync<MemoryItem>(await client.GetAsync($"/api/memories/{id}", Ct));

    private static async Task<IEnumerable<string>> KnownAsync(HttpClient client, DateTimeOffset? moment) =>
        (await client.ListAsync(moment is { } at ? $"?userId=u&knownAt={Uri.EscapeDataString(at.ToString("O", System.Globalization.CultureInfo.InvariantCulture))}" : "?userId=u")).Items
            .Select(item => item.Text).Order(StringComparer.Ordinal);
}
