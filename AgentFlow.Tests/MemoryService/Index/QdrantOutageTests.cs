using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Index;

public sealed class QdrantOutageTests
{
    [Fact]
    public async Task While_Qdrant_is_down_writes_are_taken_and_searches_answer_degraded()
    {
        Assert.SkipUnless(QdrantServer.FindBinary() is not null, QdrantServer.Missing);
        await using var qdrant = await QdrantServer.StartAsync();
        await using var host = await MemoryHost.StartAsync(settings: ("ConnectionStrings:qdrant_http", qdrant.ConnectionString));
        using var client = await host.ClientAsync();
        await client.AddVerbatimAsync("stored while all is well");

        // The collection is made in the background, and the first write may come before it.
        var before = await Patience.UntilAsync(() => client.SearchAsync("stored"), found => found.Degraded is null && found.Items.Count > 0, "Qdrant's own answer");
        Assert.Single(before.Items);

        await qdrant.KillAsync();
        await client.AddVerbatimAsync("stored during the outage");
        var during = await client.SearchAsync("stored");

        Assert.Equal(["qdrant"], during.Degraded);
        Assert.Equal(["stored during the outage", "stored while all is well"], during.Items.Select(item => item.Text).Order());
    }
}
