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

    [Fact]
    public async Task Known_embeddings_are_looked_up_one_by_one() =>
        Assert.Contains("(content_hash = wanted.hash)", await PlanAsync(IngestStore.KnownEmbeddings, "uuid, text, bytea[]", "null, null, null"), StringComparison.Ordinal);

    [Fact]
    public async Task Hits_are_looked_up_one_by_one() =>
        Assert.Contains("(id = wanted.id)", await PlanAsync(DocumentSearch.ReadHits, "uuid[], uuid, uuid[]", "null, null, null"), StringComparison.Ordinal);

    [Fact]
    public async Task Entries_of_the_outbox_and_passages_of_a_step_are_changed_one_by_one()
    {
        Assert.Contains("TID Cond: (ctid = ANY (", await PlanAsync(OutboxWorker.TakeSql, "int, interval", "null, null", byIndex: true), StringComparison.Ordinal);
        Assert.Contains("(entity_id = done.id)", await PlanAsync(OutboxWorker.DoneSql, "uuid[], bigint[]", "null, null", byIndex: true), StringComparison.Ordinal);
        Assert.Contains(
            "(id = ANY (", await PlanAsync(DocumentFollowUp.TakePassages, "uuid, int, int, int, boolean, int", "null, null, null, null, null, null", byIndex: true), StringComparison.Ordinal);
        Assert.Contains("(id = ANY (", await PlanAsync(DocumentFollowUp.TouchPassages, "uuid, int, int", "null, null, null", byIndex: true), StringComparison.Ordinal);
    }

    /// <summary>The index conditions of the plan that is kept, for tables of which nothing is known yet.</summary>
    /// <param name="byIndex">As <see cref="AgentFlow.ServiceDefaults.Postgres.DbBatch.ByIndex"/> has it planned, and with tables that are known to be empty.</param>
    private async Task<string> PlanAsync(string sql, string types, string arguments, bool byIndex = false)
    {
        // What is known of a table stays known: it must not reach the other tests.
        await using var connection = new NpgsqlConnection(byIndex ? await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Api) : host.ConnectionString);
        await connection.OpenAsync(Ct);
        if (byIndex)
        {
            foreach (var command in (string[])["vacuum analyze agentflow_api.index_outbox, agentflow_api.chunks", "set enable_seqscan = off"])
            {
                await using var known = new NpgsqlCommand(command, connection);
                await known.ExecuteNonQueryAsync(Ct);
            }
        }

        await using var prepare = new NpgsqlCommand($"set search_path to agentflow_api; set plan_cache_mode to force_generic_plan; prepare wanted ({types}) as {sql}", connection);
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
