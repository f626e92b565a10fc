using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService;
using AgentFlow.ServiceDefaults.Settings;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.Configuration;

namespace AgentFlow.Tests.MemoryService.Graph;

/// <summary>No Neo4j runs here: a stand-in of its HTTP query API takes what the mirror sends and keeps the nodes and relations it amounts to.</summary>
public sealed class Neo4jMirrorTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Entities_follow_the_memories_through_the_outbox_and_go_with_them()
    {
        await using var neo4j = await Neo4jStandIn.StartAsync();
        await using var host = await MemoryHost.StartAsync(settings: [("NEO4J_URL", neo4j.Address.ToString()), ("NEO4J_PASSWORD", "secret"), ("Outbox:PollInterval", "00:00:00.050")]);
        using var client = await host.ClientAsync();
        var first = (await client.AddVerbatimAsync("Ada Lovelace met Charles Babbage")).Items.Single().Id;
        await client.AddVerbatimAsync("Ada Lovelace likes INV-2041");
        await NamesAsync(neo4j, ["Ada Lovelace", "Ada Lovelace", "Charles Babbage", "INV-2041"]);

        neo4j.IsDown = true;
        await client.DeleteAsync($"/api/memories/{first}", Ct);
        Assert.Single((await client.SearchAsync("Ada Lovelace")).Items);
        neo4j.IsDown = false;
        await NamesAsync(neo4j, ["Ada Lovelace", "INV-2041"]);

        var receipt = await MemoryCalls.ReadAsync<ErasureReceipt>(await client.PostTextAsync("/api/subjects/erase", """{"userId":"u"}"""));
        Assert.True(receipt.Complete);
        Assert.Equal(0, receipt.Remaining["graph"]);
        Assert.Empty(neo4j.Names);
        Assert.Equal("/db/neo4j/query/v2", neo4j.Path);
        Assert.Equal("Basic bmVvNGo6c2VjcmV0", neo4j.Authorization);
    }

    [Theory]
    [InlineData("bolt://localhost:7687", "http://localhost:7474")]
    [InlineData("neo4j+s://graph.example", "http://graph.example:7474")]
    [InlineData("localhost", "http://localhost:7474")]
    public void An_address_of_another_protocol_gets_a_clear_message(string address, string cure)
    {
        var error = Assert.Throws<SettingException>(() => MemoryServiceApplication.Build(["--environment", "Production"], builder => builder.Configuration.AddInMemoryCollection(
            [KeyValuePair.Create("ConnectionStrings:agentflow-memory", (string?)"Host=127.0.0.1;Password=x"), KeyValuePair.Create("NEO4J_URL", (string?)address)])));
        Assert.Contains("NEO4J_URL", error.Message, StringComparison.Ordinal);
        Assert.Contains(cure, error.Message, StringComparison.Ordinal);
    }

    private static Task NamesAsync(Neo4jStandIn neo4j, string[] expected) => Patience.UntilAsync(
        () => Task.FromResult(string.Join(", ", neo4j.Names.Order(StringComparer.Ordinal))), names => names == string.Join(", ", expected), "the graph names what the memories name");
}
