using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>The provider with the role embedding embeds documents, as it embeds memories.</summary>
public sealed class EmbeddingServerTests
{
    private const string Model = "scripted-8";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_new_embedding_model_takes_over_by_itself_and_its_failure_leaves_the_words()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        var before = await ApiHost.StartAsync([]);
        var user = await before.RegisterAsync();
        await new DocumentClient(user).IngestAsync("old.txt", "The sexton winds the tower clock on Fridays.");
        await before.DisposeAsync();

        await using var after = await ApiHost.StartAsync(new()
        {
            ["ConnectionStrings:agentflow-api"] = before.ConnectionString, ["Test:NoAdmin"] = "true",
            ["Models:Providers:0:Name"] = "embedder", ["Models:Providers:0:Endpoint"] = provider.Endpoint.ToString(), ["Models:Providers:0:Model"] = Model,
            ["Models:Providers:0:Dimensions"] = "8", ["Models:Providers:0:Roles:0"] = "embedding",
        });
        var client = new DocumentClient(new TestUser(after, user.Tokens));
        await Patience.UntilAsync(() => CountAsync(after), count => count == 1, "the old document has a vector of the new model");
        await client.IngestAsync("new.txt", "The verger locks the crypt at dusk.");
        Assert.Equal(2, await CountAsync(after));
        var request = new DocumentSearchRequest { Query = "tower clock" };
        var found = await client.AnswerAsync(request);
        Assert.Contains("old.txt", found.Items.Select(hit => hit.DocumentName));
        Assert.Null(found.Degraded);

        provider.EmbeddingDimensions = 9;
        var degraded = await client.AnswerAsync(request with { Query = "crypt at dusk" });
        Assert.Equal(("new.txt", "embedding"), (degraded.Items[0].DocumentName, Assert.Single(degraded.Degraded!)));
    }

    private static Task<long> CountAsync(ApiHost host) => host.Services.GetRequiredService<Database>().AsWorker().QuerySingleAsync(
        "select count(*) from chunk_embeddings where model = $1", [Model], row => row.GetInt64(0), Ct);
}
