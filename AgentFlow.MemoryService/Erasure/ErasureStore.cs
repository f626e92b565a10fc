using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.MemoryService.Erasure;

/// <summary>Removes every row that is about a subject, and looks whether any is left. Thread-safe.</summary>
internal sealed class ErasureStore(Database database)
{
    private const string Matches =
        "($2::text is null or user_id = $2) and ($3::text is null or agent_id = $3) and ($4::text is null or session_id = $4) and ($5::text is null or app_id = $5)";

    private const string TaskMatches =
        """
        kind = 'memory.add' and ($2::text is null or input #>> '{request,userId}' = $2) and ($3::text is null or input #>> '{request,agentId}' = $3)
        and ($4::text is null or input #>> '{request,sessionId}' = $4) and ($5::text is null or input #>> '{request,appId}' = $5)
        """;

    private const string ExportMatches =
        """
        exists (select from jsonb_array_elements(case jsonb_typeof(body -> 'memories') when 'array' then body -> 'memories' else '[]' end) as m
            where ($2::text is null or m ->> 'user_id' = $2) and ($3::text is null or m ->> 'agent_id' = $3)
            and ($4::text is null or m ->> 'run_id' = $4) and ($5::text is null or m ->> 'app_id' = $5))
        """;

    private const string Ids = $"(select id from memories where owner_id = $1 and {Matches})";

    /// <summary>Each place with what it holds of the subject, in the order in which it can be deleted.</summary>
    private static readonly (string Place, string Table, string Condition)[] Places =
    [
        ("relations", "memory_relations", $"memory_id in {Ids}"),
        ("links", "memory_entity_links", $"memory_id in {Ids}"),
        ("vectors", "memory_embeddings", $"memory_id in {Ids}"),
        ("versions", "memory_versions", $"memory_id in {Ids}"),
        ("feedback", "memory_feedback", $"memory_id in {Ids}"),
        ("history", "memory_history", $"(memory_id in {Ids} or ({Matches}))"),
        ("tasks", "tasks", TaskMatches),
        ("exports", "memory_exports", ExportMatches),
        ("outbox", "index_outbox", $"entity_id in {Ids}"),
        ("memories", "memories", Matches),
    ];

    /// <summary>What is removed, and the index writes that remain to be done: they travel in the outbox as ids only.</summary>
    internal sealed record Erased(Dictionary<string, long> Removed, IReadOnlyList<(Guid Id, long Version)> Points);

    internal async Task<Erased> EraseAsync(Guid ownerId, MemoryScope subject, CancellationToken ct)
    {
        object?[] parameters = [ownerId, subject.UserId, subject.AgentId, subject.SessionId, subject.AppId];
        await using var session = await database.ForOwner(ownerId).BeginAsync(ct);
        var points = await session.QueryAsync(
            $"select id, version + 1 from memories where owner_id = $1 and {Matches} order by id for update", parameters, row => (row.GetGuid(0), (long)row.GetInt32(1)), ct);
        var removed = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var (place, table, condition) in Places)
            removed[place] = await session.ExecuteAsync($"delete from {table} where owner_id = $1 and {condition}", parameters, ct);
        removed["entities"] = await session.ExecuteAsync(
            """
            delete from memory_entities e where e.owner_id = $1 and not exists (select from memory_entity_links l where l.entity_id = e.id)
                and not exists (select from memory_relations r where e.id in (r.source_id, r.target_id))
            """,
            [ownerId], ct);

        // Kept answers quote memories; which ones can not be told, so all of this owner's go, but for receipts of erasures, this one's among them.
        removed["replays"] = await session.ExecuteAsync("delete from idempotency_keys where owner_id = $1 and route <> $2", [ownerId, $"POST {ErasureEndpoints.Path}"], ct);
        if (points.Count > 0)
        {
            await session.ExecuteAsync(
                "insert into index_outbox (entity_id, owner_id, version, op, not_before) select id, $1, version, 'delete', now() + interval '2 seconds' from unnest($2, $3) as gone (id, version)",
                [ownerId, points.Select(point => point.Item1).ToArray(), points.Select(point => point.Item2).ToArray()], ct);
        }

        await session.CommitAsync(ct);
        return new Erased(removed, points);
    }

    /// <summary>Looks into every place again; the outbox holds ids of points to remove, and nothing about the subject.</summary>
    internal async Task<Dictionary<string, long>> RemainingAsync(Guid ownerId, MemoryScope subject, CancellationToken ct)
    {
        object?[] parameters = [ownerId, subject.UserId, subject.AgentId, subject.SessionId, subject.AppId];
        var batch = database.ForOwner(ownerId).CreateBatch();
        foreach (var (_, table, condition) in Places)
            batch.Add($"select count(*) from {table} where owner_id = $1 and {condition}", parameters);
        return await batch.ReadAsync(
            async (reader, token) =>
            {
                var remaining = new Dictionary<string, long>(StringComparer.Ordinal);
                foreach (var (place, _, _) in Places)
                {
                    await reader.ReadAsync(token);
                    remaining[place] = reader.GetInt64(0);
                    await reader.NextResultAsync(token);
                }

                return remaining;
            },
            ct);
    }

    internal Task SaveAsync(Guid ownerId, MemoryScope subject, ErasureReceipt receipt, CancellationToken ct) =>
        database.ForOwner(ownerId).ExecuteAsync(
            "insert into memory_erasures (id, owner_id, subject_hash, removed, remaining, at) values ($1, $2, $3, $4::jsonb, $5::jsonb, $6)",
            [receipt.Id, ownerId, ContentHash.OfSubject(subject), JsonSerializer.Serialize(receipt.Removed), JsonSerializer.Serialize(receipt.Remaining), receipt.At],
            ct);
}
