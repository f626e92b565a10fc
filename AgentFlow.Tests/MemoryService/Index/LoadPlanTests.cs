using AgentFlow.MemoryService.Index;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Tests.MemoryService.Index;

/// <summary>
/// What an owner's index is loaded from is read once, by the owner, whatever is known of the tables when the statement is planned: thousands of looks by
/// key and workers that must first be started took longer than reading does.
/// </summary>
public sealed class LoadPlanTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_owner_is_loaded_by_one_look_into_each_table(bool isKnown)
    {
        await using var host = await MemoryHost.StartAsync();
        if (isKnown)
        {
            await using var connection = new NpgsqlConnection(host.ConnectionString);
            await connection.OpenAsync(Ct);
            await using var fill = new NpgsqlCommand(Fill, connection);
            await fill.ExecuteNonQueryAsync(Ct);
        }

        var plan = string.Join('\n', await host.Get<Database>().ForOwner(Guid.Parse("00000000-0000-4000-8000-000000000007")).CreateBatch().InBulk()
            .Add($"explain {MemoryTruth.LoadSql}", [HashingEmbeddingGenerator.Space.Model, Guid.Parse("00000000-0000-4000-8000-000000000007")])
            .ReadAllAsync(row => row.GetString(0), Ct));
        Assert.Matches("Hash (Right|Left) Join", plan);
        Assert.Equal(2, plan.Split("Index Cond: ").Skip(1).Count(condition => condition.Split('\n')[0].Contains("owner_id = ", StringComparison.Ordinal)));
        Assert.DoesNotContain("Seq Scan", plan, StringComparison.Ordinal);
        Assert.DoesNotContain("Gather", plan, StringComparison.Ordinal);
    }

    /// <summary>Ten owners of 1,000 memories.</summary>
    private const string Fill = """
        set search_path to agentflow_memory;
        create temp table wanted as select gen_random_uuid() as id, ('00000000-0000-4000-8000-' || lpad(o::text, 12, '0'))::uuid as owner_id from generate_series(1, 10) o, generate_series(1, 1000);
        insert into memories (id, owner_id, user_id, subject_hash, kind, text, content_hash, trust, created_at, updated_at, valid_from)
            select id, owner_id, 'ann', sha256('ann'), 0, id::text, sha256(id::text::bytea), 0, now(), now(), now() from wanted;
        insert into memory_embeddings (memory_id, model, owner_id, vector) select id, 'hashing-1', owner_id, decode(repeat('00', 2048), 'hex') from wanted;
        analyze memories;
        analyze memory_embeddings;
        """;
}
