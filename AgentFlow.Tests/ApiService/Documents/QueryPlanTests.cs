using AgentFlow.ApiService.Documents;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>
/// A service keeps the plans that it made when its tables were empty. Those of ingestion and search must stay right when a document of a
/// hundred megabytes has come since: one look into an index for each thing that is wanted, never all that the owner has.
/// </summary>
public sealed class QueryPlanTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Known_embeddings_are_looked_up_one_by_one(bool isKnown) =>
        Assert.Contains("(content_hash = wanted.hash)", await PlanAsync(IngestStore.KnownEmbeddings, "uuid, text, bytea[]", "null, null, null", isKnown), StringComparison.Ordinal);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Hits_their_documents_and_those_that_are_gone_are_looked_up_one_by_one(bool isKnown)
    {
        var hits = await PlanAsync(DocumentSearch.ReadHits, "uuid[], uuid, uuid[]", "null, null, null", isKnown, byKey: true);
        Assert.Contains("((id >= wanted.id) AND (id <= wanted.id))", hits, StringComparison.Ordinal);
        Assert.Contains("((id >= chunks.document_id) AND (id <= chunks.document_id))", hits, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Passages_for_the_index_are_looked_up_one_by_one(bool isKnown)
    {
        Assert.Contains("((entity_id >= c.id) AND (entity_id <= c.id))", await PlanAsync(IngestStore.Unindexed, "uuid, int, int, int", "null, null, null, null", isKnown, byKey: true), StringComparison.Ordinal);
        var rows = await PlanAsync(ChunkTruth.Read, "uuid[], text", "null, null", isKnown, worker: true, byKey: true);
        Assert.Contains("((id >= wanted.id) AND (id <= wanted.id))", rows, StringComparison.Ordinal);
        Assert.Contains("((id >= chunks.document_id) AND (id <= chunks.document_id))", rows, StringComparison.Ordinal);
        Assert.Contains("(content_hash = chunks.content_hash)", rows, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Entries_of_the_outbox_and_passages_of_a_step_are_changed_one_by_one()
    {
        Assert.Contains("TID Cond: (ctid = ANY (", await PlanAsync(OutboxWorker.TakeSql, "int, interval", "null, null", isKnown: true, worker: true), StringComparison.Ordinal);
        Assert.Contains("(entity_id = done.id)", await PlanAsync(OutboxWorker.DoneSql, "uuid[], bigint[]", "null, null", isKnown: true, worker: true), StringComparison.Ordinal);
        Assert.Contains(
            "(id = ANY (", await PlanAsync(DocumentFollowUp.TakePassages, "uuid, int, int, int, boolean, int, int", "null, null, null, null, null, null, null", isKnown: true, worker: true), StringComparison.Ordinal);
        Assert.Contains("(id = ANY (", await PlanAsync(DocumentFollowUp.TouchPassages, "uuid, int, int", "null, null, null", isKnown: true, worker: true), StringComparison.Ordinal);
    }

    /// <summary>The index conditions of the plan that is kept, made as <see cref="AgentFlow.ServiceDefaults.Postgres.DbBatch.ByIndex"/> has it made.</summary>
    /// <param name="isKnown">Whether the tables are known to be empty; else nothing is known of them yet.</param>
    /// <param name="worker">Of the role of workers, whom row-level security lets see every row, instead of an owner's.</param>
    /// <param name="byKey">As <see cref="AgentFlow.ServiceDefaults.Postgres.DbBatch.ByKey"/> has it made.</param>
    private async Task<string> PlanAsync(string sql, string types, string arguments, bool isKnown, bool worker = false, bool byKey = false)
    {
        // What is known of a table stays known: it must not reach the other tests.
        await using var connection = new NpgsqlConnection(isKnown ? await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Api) : host.ConnectionString);
        await connection.OpenAsync(Ct);
        if (isKnown)
        {
            await using var known = new NpgsqlCommand(
                "vacuum analyze agentflow_api.index_outbox, agentflow_api.chunks, agentflow_api.chunk_embeddings, agentflow_api.documents", connection);
            await known.ExecuteNonQueryAsync(Ct);
        }

        await using var prepare = new NpgsqlCommand(
            $"set enable_seqscan = off; set enable_sort = {(byKey ? "off" : "on")}; set role {(worker ? "agentflow_worker" : "agentflow_app")}; set app.owner_id = '{Guid.CreateVersion7()}'; set search_path to agentflow_api; set plan_cache_mode to force_generic_plan; prepare wanted ({types}) as {sql}",
            connection);
        await prepare.ExecuteNonQueryAsync(Ct);
        await using var explain = new NpgsqlCommand($"explain execute wanted ({arguments})", connection);
        await using var reader = await explain.ExecuteReaderAsync(Ct);
        var conditions = new List<string>();
        while (await reader.ReadAsync(Ct))
        {
            if (reader.GetString(0).Contains("Index Cond:", StringComparison.Ordinal) || reader.GetString(0).Contains("TID Cond:", StringComparison.Ordinal))
                conditions.Add(reader.GetString(0));
        }

        return string.Join('\n', conditions);
    }
}
