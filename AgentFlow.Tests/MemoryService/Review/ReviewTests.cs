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

    private static async Task DecideAsync(HttpClient client, MemoryId id, string body) =>
        (await client.PostTextAsync($"/api/review/{id}", body)).EnsureSuccessStatusCode();
}
