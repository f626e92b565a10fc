using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Retrieval.Index;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>Two services on one database, the second without workers: what the first one writes is found through the second one's own index.</summary>
public sealed class ReplicaTests : IAsyncLifetime
{
    private ApiHost worker = null!;
    private ApiHost reader = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        worker = await ApiHost.StartAsync([]);
        reader = await ApiHost.StartAsync(new()
        {
            ["ConnectionStrings:agentflow-api"] = worker.ConnectionString, ["Test:NoAdmin"] = "true", ["Queue:Enabled"] = "false", ["Outbox:Enabled"] = "false",
        });
    }

    public async ValueTask DisposeAsync()
    {
        await reader.DisposeAsync();
        await worker.DisposeAsync();
    }

    [Fact]
    public async Task New_changed_and_deleted_passages_reach_the_index_of_a_second_replica()
    {
        var user = await worker.RegisterAsync();
        var client = new DocumentClient(user);
        var first = await client.IngestAsync("first.txt", "The cooper bends staves over a fire of oak shavings.");
        Assert.Single(await FindAsync(user.Id, "cooper staves"));

        // The worker's index does not hold the owner here, and does from its first search on: both ways of ingestion are told.
        var second = await client.IngestAsync("second.txt", "The farrier shoes the mare behind the chapel.");
        await Patience.UntilAsync(() => FindAsync(user.Id, "farrier mare"), ids => ids.Count == 2, "the second document in the reader's index");
        await client.SearchAsync("farrier");
        await client.IngestAsync("third.txt", "The chandler dips candles of tallow.");
        await Patience.UntilAsync(() => FindAsync(user.Id, "chandler tallow"), ids => ids.Count == 3, "the third document in the reader's index");

        using var patched = await client.Http.PatchAsJsonAsync($"/api/documents/{second.Id}", new PatchDocumentRequest { Tags = ["horses"] }, ContractJson.Options, Ct);
        patched.EnsureSuccessStatusCode();
        using var http = reader.Client(user.Tokens.AccessToken);
        var request = new DocumentSearchRequest { Query = "farrier", Filter = JsonElement.Parse("""{"tag": "horses"}""") };
        var hits = await Patience.UntilAsync(
            async () =>
            {
                using var response = await http.PostAsJsonAsync("/api/documents/search", request, ContractJson.Options, Ct);
                return (await response.Content.ReadFromJsonAsync<DocumentSearchResponse>(ContractJson.Options, Ct))!.Items;
            },
            found => found.Count > 0,
            "the new tag in the reader's index");
        Assert.Equal(second.Id, Assert.Single(hits).DocumentId);

        using var deleted = await client.Http.DeleteAsync($"/api/documents/{first.Id}", Ct);
        deleted.EnsureSuccessStatusCode();
        await Patience.UntilAsync(() => FindAsync(user.Id, "cooper staves"), ids => ids.Count == 2, "the first document out of the reader's index");
    }

    /// <summary>What the reading replica's own index holds, without the rows' help.</summary>
    private async Task<IReadOnlyList<Guid>> FindAsync(OwnerId owner, string query)
    {
        var vector = AgentFlow.Retrieval.Embedding.HashingEmbeddingGenerator.Embed(query);
        var answer = await reader.Services.GetRequiredService<VectorIndex>().For(owner.Value).SearchAsync(new IndexQuery { Text = query, Vector = vector }, Ct);
        return [.. answer.Hits.Select(hit => hit.Id)];
    }
}
