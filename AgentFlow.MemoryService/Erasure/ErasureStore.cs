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

    /// <summary>Memories that one transaction erases: a subject may have any number of them.</summary>
    internal const int StepSize = 1_000;

    private const int RowsPerStep = 5_000;

    /// <summary>What there is of a memory, in the order in which it can be deleted, and the column with its id.</summary>
    private static readonly (string Place, string Table, string Column)[] OfMemories =
    [
        ("relations", "memory_relations", "memory_id"),
        ("links", "memory_entity_links", "memory_id"),
        ("vectors", "memory_embeddings", "memory_id"),
        ("versions", "memory_versions", "memory_id"),
        ("feedback", "memory_feedback", "memory_id"),
        ("history", "memory_history", "memory_id"),
        ("outbox", "index_outbox", "entity_id"),
        ("memories", "memories", "id"),
    ];

    /// <summary>What names the subject itself; the history also of memories whose rows are gone.</summary>
    private static readonly (string Place, string Table, string Condition)[] OfSubject =
    [
        ("history", "memory_history", Matches),
        ("tasks", "tasks", TaskMatches),
        ("exports", "memory_exports", ExportMatches),
    ];

    /// <summary>What is removed, and the index writes that remain to be done: they travel in the outbox as ids only.</summary>
    internal sealed record Erased(Dictionary<string, long> Removed, IReadOnlyList<(Guid Id, long Version)> Points);

    /// <summary>In steps; what is cut off in between goes on with the next call.</summary>
    internal async Task<Erased> EraseAsync(Guid ownerId, MemoryScope subject, CancellationToken ct)
    {
        object?[] parameters = [ownerId, subject.UserId, subject.AgentId, subject.SessionId, subject.AppId];
        var removed = new Dictionary<string, long>(StringComparer.Ordinal);
        var points = new List<(Guid Id, long Version)>();
        int step;
        do
        {
            step = await EraseStepAsync(ownerId, parameters, removed, points, ct);
        }
        while (step > 0);
        await using var session = await database.ForOwner(ownerId).BeginAsync(ct);
        foreach (var (place, table, condition) in OfSubject)
        {
            int rows;
            do
            {
                rows = await session.ExecuteAsync($"delete from {table} where ctid = any (array(select ctid from {table} where owner_id = $1 and {condition} limit {RowsPerStep}))", parameters, ct);
                removed[place] = removed.GetValueOrDefault(place) + rows;
            }
            while (rows > 0);
        }

        removed["entities"] = await session.ExecuteAsync(
            """
            delete from memory_entities e where e.owner_id = $1 and not exists (select from memory_entity_links l where l.entity_id = e.id)
                and not exists (select from memory_relations r where e.id in (r.source_id, r.target_id))
            """,
            [ownerId], ct);

        // Kept answers quote memories; which ones can not be told, so all of this owner's go, but for receipts of erasures, this one's among them.
        removed["replays"] = await session.ExecuteAsync("delete from idempotency_keys where owner_id = $1 and route <> $2", [ownerId, $"POST {ErasureEndpoints.Path}"], ct);
        await session.CommitAsync(ct);
        return new Erased(removed, points);
    }

    /// <returns>How many memories it erased.</returns>
    private async Task<int> EraseStepAsync(Guid ownerId, object?[] subject, Dictionary<string, long> removed, List<(Guid Id, long Version)> points, CancellationToken ct)
    {
        await using var session = await database.ForOwner(ownerId).BeginAsync(ct);
        var step = await session.QueryAsync(
            $"select id, version + 1 from memories where owner_id = $1 and {Matches} order by id limit {StepSize} for update", subject, row => (Id: row.GetGuid(0), Version: (long)row.GetInt32(1)), ct);
        var ids = step.Select(point => point.Id).ToArray();
        foreach (var (place, table, column) in OfMemories)
            removed[place] = removed.GetValueOrDefault(place) + (step.Count == 0 ? 0 : await session.ExecuteAsync($"delete from {table} where owner_id = $1 and {column} = any ($2)", [ownerId, ids], ct));
        if (step.Count > 0)
        {
            await session.ExecuteAsync(
                "insert into index_outbox (entity_id, owner_id, version, op, not_before) select id, $1, version, 'delete', now() + interval '2 seconds' from unnest($2, $3) as gone (id, version)",
                [ownerId, ids, step.Select(point => point.Version).ToArray()], ct);
        }

        await session.CommitAsync(ct);
        points.AddRange(step);
        return step.Count;
    }

    /// <summary>Looks into every place again, for the subject and for the memories that were erased; the outbox may hold their ids, as points to remove.</summary>
    internal async Task<Dictionary<string, long>> RemainingAsync(Guid ownerId, MemoryScope subject, IReadOnlyList<(Guid Id, long Version)> erased, CancellationToken ct)
    {
        object?[] parameters = [ownerId, subject.UserId, subject.AgentId, subject.SessionId, subject.AppId];
        var ids = erased.Select(point => point.Id).ToArray();
        var batch = database.ForOwner(ownerId).CreateBatch();
        foreach (var (_, table, column) in OfMemories)
            batch.Add($"select count(*) from {table} where owner_id = $1 and {column} = any ($2){(table == "index_outbox" ? " and op <> 'delete'" : string.Empty)}", [ownerId, ids]);
        foreach (var (_, table, condition) in OfSubject)
            batch.Add($"select count(*) from {table} where owner_id = $1 and {condition}", parameters);
        batch.Add($"select count(*) from memories where owner_id = $1 and {Matches}", parameters);
        string[] places = [.. OfMemories.Select(one => one.Place), .. OfSubject.Select(one => one.Place), "memories"];
        return await batch.ReadAsync(
            async (reader, token) =>
            {
                var remaining = new Dictionary<string, long>(StringComparer.Ordinal);
                foreach (var place in places)
                {
                    await reader.ReadAsync(token);
                    remaining[place] = remaining.GetValueOrDefault(place) + reader.GetInt64(0);
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
