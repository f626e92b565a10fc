using AgentFlow.ApiService.Documents;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Documents;

public sealed class DocumentUpkeepTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("dead", "The worker died in each of 5 attempts.")]
    [InlineData("cancelled", "It was cancelled.")]
    public async Task Document_whose_task_ended_without_it_ends_failed_with_the_reason(string status, string reason)
    {
        var client = new DocumentClient(await host.RegisterAsync());
        var document = await client.IngestAsync($"{status}.txt", $"Words of a document whose task will be {status}.");
        var database = host.Services.GetRequiredService<Database>();
        await database.AsWorker().ExecuteAsync(
            "update tasks set status = $2, error = $3::text where id = $1", [document.TaskId!.Value.Value, status, status == "dead" ? reason : null], Ct);
        await database.AsWorker().ExecuteAsync("update documents set status = 'embedding' where id = $1", [document.Id.Value], Ct);

        await host.Services.GetRequiredService<DocumentUpkeep>().SettleAsync(Ct);

        var after = await client.GetAsync(document.Id);
        Assert.Equal(DocumentStatus.Failed, after.Status);
        Assert.Contains(reason, after.FailureReason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Purge_takes_loose_originals_and_embeddings_of_nothing_and_leaves_the_rest()
    {
        var user = await host.RegisterAsync();
        var client = new DocumentClient(user);
        var kept = await client.IngestAsync("kept.txt", "These words stay.");
        var gone = await client.IngestAsync("gone.txt", "Those words go.");
        using var deleted = await client.Http.DeleteAsync($"/api/documents/{gone.Id}", Ct);
        var database = host.Services.GetRequiredService<Database>();
        var loose = Guid.CreateVersion7();
        await database.ForOwner(user.Id.Value).ExecuteAsync(
            "insert into document_originals (id, owner_id, created_at) values ($1, $2, now() - interval '2 days')", [loose, user.Id.Value], Ct);

        await host.Services.GetRequiredService<DocumentUpkeep>().PurgeAsync(Ct);

        var owner = database.ForOwner(user.Id.Value);
        await Patience.UntilAsync(
            () => owner.QuerySingleAsync(
                "select (select count(*) from document_originals), (select count(*) from chunk_embeddings), (select count(*) from document_originals where id = $1)",
                [loose],
                row => (Originals: row.GetInt64(0), Embeddings: row.GetInt64(1), Loose: row.GetInt64(2)),
                Ct),
            counts => counts == (1, 1, 0),
            "only the kept original and embedding");
        Assert.Equal("These words stay.", await client.TextAsync(kept.Id));
    }
}
