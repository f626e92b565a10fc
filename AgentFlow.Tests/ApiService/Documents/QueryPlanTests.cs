using AgentFlow.ApiService.Documents;
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

    /// <summary>The index conditions of the plan that is kept, for tables of which nothing is known yet.</summary>
    private async Task<string> PlanAsync(string sql, string types, string arguments)
    {
        await using var connection = new NpgsqlConnection(host.ConnectionString);
        await connection.OpenAsync(Ct);
        await using var prepare = new NpgsqlCommand($"set search_path to agentflow_api; set plan_cache_mode to force_generic_plan; prepare wanted ({types}) as {sql}", connection);
        await prepare.ExecuteNonQueryAsync(Ct);
        await using var explain = new NpgsqlCommand($"explain execute wanted ({arguments})", connection);
        await using var reader = await explain.ExecuteReaderAsync(Ct);
        var conditions = new List<string>();
        while (await reader.ReadAsync(Ct))
        {
            if (reader.GetString(0).Contains("Index Cond:", StringComparison.Ordinal))
                conditions.Add(reader.GetString(0));
        }

        return string.Join('\n', conditions);
    }
}
