using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Review;

public sealed class ReviewTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_was_inferred_waits_until_somebody_approves_edits_or_rejects_it()
    {
        await using var host = await MemoryHost.StartAsync(settings: ("Memory:ReviewInferred", "true"));
        using var client = await host.ClientAsync();
        var old = (await client.AddVerbatimAsync("I live in Berlin")).Items.Single().Id;
        await client.AddAsync(new AddMemoryRequest { Messages = [new("user", "I moved to Lisbon. My name is Ada. I prefer tea.")], UserId = "u" });

        Assert.Equal([old], (await client.ListAsync()).Items.Select(item => item.Id));
        Assert.Equal([old], (await client.SearchAsync("Lisbon Ada tea Berlin")).Items.Select(item => item.Id));
        var pending = (await MemoryCalls.ReadAsync<Page<MemoryItem>>(await client.GetAsync("/api/review", Ct))).Items.ToDictionary(item => item.Text);
        Assert.Equal(["I moved to Lisbon.", "I prefer tea.", "My name is Ada."], pending.Keys.Order());
        Assert.All(pending.Values, item => Assert.True(item.Pending));

        await DecideAsync(client, pending["I moved to Lisbon."].Id, """{"decision":"approve"}""");
        await DecideAsync(client, pending["My name is Ada."].Id, """{"decision":"approve","text":"My name is Ada Lovelace."}""");
        await DecideAsync(client, pending["I prefer tea."].Id, """{"decision":"reject"}""");

        Assert.Equal(["I moved to Lisbon.", "My name is Ada Lovelace."], (await client.ListAsync()).Items.Select(item => item.Text).Order());
        Assert.Equal("My name is Ada Lovelace.", (await client.SearchAsync("Lovelace")).Items[0].Text);
        Assert.Empty((await MemoryCalls.ReadAsync<Page<MemoryItem>>(await client.GetAsync("/api/review", Ct))).Items);
        Assert.Equal((404, "not_found"), await client.PostTextAsync($"/api/review/{old}", """{"decision":"approve"}""").RefusalAsync());
        Assert.Equal((400, "invalid_request"), await client.PostTextAsync($"/api/review/{old}", """{"decision":"maybe"}""").RefusalAsync());
        Assert.Equal((400, "invalid_request"), await client.GetAsync("/api/review?limit=0", Ct).RefusalAsync());
    }

    [Fact]
    public async Task What_a_model_found_contradicted_stands_until_the_new_fact_is_approved()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        await using var host = await ExtractionAnswer.StartAsync(provider, ("Memory:ReviewInferred", "true"));
        using var client = await host.ClientAsync();
        var old = (await client.AddVerbatimAsync("The user is employed by Initrode")).Items.Single().Id;
        provider.Respond = _ => ExtractionAnswer.Of("""{"facts":[{"text":"The user is at Initech.","categories":["work"],"contradicts":[1],"relations":[{"source":"User","relation":"works_at","target":"Initech"}]}]}""");

        var added = await client.AddAsync(new AddMemoryRequest { Messages = [new("user", "I now work at Initech")], UserId = "u" });
        var id = added.Items.Single().Id;
        Assert.Equal((MemoryChange.Pending, null), (added.Items.Single().Event, added.Items.Single().Supersedes));
        var live = (await client.ListAsync()).Items.Single();
        Assert.Equal((old, null), (live.Id, live.ValidTo));
        Assert.Equal([old], (await client.SearchAsync("Initech Initrode employed")).Items.Select(item => item.Id));
        Assert.Empty((await MemoryCalls.ReadAsync<MemoryGraph>(await client.GetAsync("/api/graph?userId=u", Ct))).Relations);

        await DecideAsync(client, id, """{"decision":"approve"}""");

        Assert.Equal([id], (await client.ListAsync()).Items.Select(item => item.Id));
        var closed = (await client.ListAsync("?superseded=true")).Items.Single(item => item.Id == old);
        Assert.Equal(id, closed.SupersededBy);
        Assert.Equal([id], (await client.SearchAsync("Initech Initrode employed")).Items.Select(item => item.Id));
        Assert.Equal("works_at", Assert.Single((await MemoryCalls.ReadAsync<MemoryGraph>(await client.GetAsync("/api/graph?userId=u", Ct))).Relations).Relation);
    }

    [Fact]
    public async Task A_contradiction_that_is_rejected_closes_nothing()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        await using var host = await ExtractionAnswer.StartAsync(provider, ("Memory:ReviewInferred", "true"));
        using var client = await host.ClientAsync();
        var old = (await client.AddVerbatimAsync("The user is employed by Initrode")).Items.Single().Id;
        provider.Respond = _ => ExtractionAnswer.Of("""{"facts":[{"text":"The user is at Initech.","categories":[],"contradicts":[1],"relations":[]}]}""");
        var id = (await client.AddAsync(new AddMemoryRequest { Messages = [new("user", "I now work at Initech")], UserId = "u" })).Items.Single().Id;

        await DecideAsync(client, id, """{"decision":"reject"}""");

        var live = (await client.ListAsync("?superseded=true")).Items.Single();
        Assert.Equal((old, null, null), (live.Id, live.ValidTo, live.SupersededBy));
        Assert.Equal((404, "not_found"), await client.PostTextAsync($"/api/review/{id}", """{"decision":"approve"}""").RefusalAsync());
    }

    [Fact]
    public async Task An_approved_fact_that_is_older_than_what_it_contradicts_is_of_the_past()
    {
        await using var host = await MemoryHost.StartAsync(settings: ("Memory:ReviewInferred", "true"));
        using var client = await host.ClientAsync();
        var now = (await client.AddAsync(new AddMemoryRequest { Text = "I live in Lisbon", UserId = "u", Infer = false, ObservedAt = DateTimeOffset.UtcNow.AddDays(-10) })).Items.Single().Id;
        var before = (await client.AddAsync(new AddMemoryRequest { Text = "I live in Berlin", UserId = "u", ObservedAt = DateTimeOffset.UtcNow.AddYears(-1) })).Items.Single().Id;

        await DecideAsync(client, before, """{"decision":"approve"}""");

        Assert.Equal([now], (await client.ListAsync()).Items.Select(item => item.Id));
        Assert.Equal([before], (await client.ListAsync($"?asOf={Uri.EscapeDataString(DateTimeOffset.UtcNow.AddDays(-100).ToString("O"))}")).Items.Select(item => item.Id));
        Assert.Equal(now, (await client.ListAsync("?superseded=true")).Items.Single(item => item.Id == before).SupersededBy);
    }

    private static async Task DecideAsync(HttpClient client, MemoryId id, string body) =>
        (await client.PostTextAsync($"/api/review/{id}", body)).EnsureSuccessStatusCode();
}
