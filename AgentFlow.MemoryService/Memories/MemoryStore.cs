using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.MemoryService.Memories;

/// <summary>Writes memories. Every change commits together with its history and its outbox row. Thread-safe.</summary>
internal sealed class MemoryStore(Database database, MemoryGroups groups)
{
    /// <summary>Another transaction may store the same text between our look and our insert; each turn of this loop needs one more of them.</summary>
    private const int MaxTries = 5;

    /// <summary>Memories in one statement batch; more are sent in several batches of one transaction.</summary>
    internal const int MaxBatch = 500;

    /// <param name="model">The embedding space of the vectors.</param>
    /// <returns>What became of each memory, in order.</returns>
    internal async Task<IReadOnlyList<StoredMemory>> AddAsync(
        Guid ownerId, Guid operationId, IReadOnlyList<NewMemory> memories, string model, CancellationToken ct)
    {
        if (memories.Count == 0)
            return [];
        if (memories is [{ Slot: null, Contradicts.Count: 0, ValidTo: null } alone] && await groups.InsertAsync(ownerId, operationId, alone, model) is { } sequence)
            return [new StoredMemory(alone, alone.Id, sequence, alone.Status == MemoryStatus.Pending ? MemoryChange.Pending : MemoryChange.Added, [])];
        if (memories.All(memory => memory.Slot is null && memory.Contradicts.Count == 0) && memories.Count <= MaxBatch)
        {
            var batch = database.ForOwner(ownerId).CreateBatch();
            var results = await InsertAsync(batch, ownerId, operationId, memories, model, ct);
            if (results.All(result => result is not null && IsLive(result, memories[0].CreatedAt)))
                return [.. results.Select((result, i) => ToStored(memories[i], result!, []))];
        }

        return await AddCarefullyAsync(ownerId, operationId, memories, model, ct);
    }

    /// <summary>Stores the memories in a transaction that is taken back, so that what would become of them is known exactly.</summary>
    internal Task<IReadOnlyList<StoredMemory>> TryAsync(Guid ownerId, Guid operationId, IReadOnlyList<NewMemory> memories, string model, CancellationToken ct) =>
        AddCarefullyAsync(ownerId, operationId, memories, model, ct, isKept: false);

    /// <summary>One after the other in one transaction: looks what each contradicts, closes it, replaces what has expired.</summary>
    private async Task<IReadOnlyList<StoredMemory>> AddCarefullyAsync(
        Guid ownerId, Guid operationId, IReadOnlyList<NewMemory> memories, string model, CancellationToken ct, bool isKept = true)
    {
        await using var session = await database.ForOwner(ownerId).BeginAsync(ct);
        await LockSubjectsAsync(session, ownerId, memories.Select(memory => memory.Scope), ct);
        var stored = new List<StoredMemory>(memories.Count);
        foreach (var memory in memories)
            stored.Add(await AddOneAsync(session, ownerId, operationId, memory, model, ct));
        if (isKept)
            await session.CommitAsync(ct);
        return stored;
    }

    private static async Task<StoredMemory> AddOneAsync(
        DbSession session, Guid ownerId, Guid operationId, NewMemory memory, string model, CancellationToken ct)
    {
        var plan = SupersessionPlan.Nothing;
        if (memory.Status == MemoryStatus.Active && (memory.Slot is not null || memory.Contradicts.Count > 0))
            plan = Supersession.Decide(memory.ContentHash, memory.ValidFrom, await ContradictedAsync(session, ownerId, memory, ct));
        var planned = memory with { ValidTo = plan.ValidTo ?? memory.ValidTo, SupersededBy = plan.ClosedBy ?? memory.SupersededBy };
        for (var attempt = 1; ; attempt++)
        {
            var result = (await InsertAsync(session.CreateBatch(), ownerId, operationId, [planned], model, ct))[0];
            if (result is { Added: true })
            {
                await CloseAsync(session, ownerId, operationId, planned, plan.Closed, ct);
                return ToStored(planned, result, [.. plan.Closed.Select(MemoryId.From)]);
            }

            if (result is not null && IsLive(result, memory.CreatedAt))
                return ToStored(planned, result, []);
            if (attempt == MaxTries)
                throw new InvalidOperationException("The same text is being stored and closed by others all the time.");
            if (result is { ExpiresAt: { } ended })
            {
                var close = session.CreateBatch();
                MemoryClosing.Add(close, ownerId, operationId, result.Id, memory.CreatedAt, ended, supersededBy: null);
                await close.ExecuteAsync(ct);
            }
        }
    }

    private static async Task CloseAsync(
        DbSession session, Guid ownerId, Guid operationId, NewMemory by, IReadOnlyList<Guid> closed, CancellationToken ct)
    {
        if (closed.Count == 0)
            return;
        var batch = session.CreateBatch();
        foreach (var id in closed)
            MemoryClosing.Add(batch, ownerId, operationId, id, by.CreatedAt, by.ValidFrom, by.Id.Value);
        await batch.ExecuteAsync(ct);
    }

    /// <summary>Two facts of one subject that exclude each other, stored at the same moment, must see each other.</summary>
    private static Task<int> LockSubjectsAsync(DbSession session, Guid ownerId, IEnumerable<MemoryScope> scopes, CancellationToken ct)
    {
        var keys = scopes.Select(scope => BitConverter.ToInt64(ContentHash.OfSubject(scope)) ^ ownerId.GetHashCode())
            .Distinct().Order().ToArray();
        return session.ExecuteAsync("select pg_advisory_xact_lock(key) from unnest($1) as key", [keys], ct);
    }

    private static Task<List<SupersessionCandidate>> ContradictedAsync(DbSession session, Guid ownerId, NewMemory memory, CancellationToken ct) =>
        ContradictedAsync(session, ownerId, memory.Scope, memory.Slot?.Name, [.. memory.Contradicts], ct);

    private static Task<List<SupersessionCandidate>> ContradictedAsync(
        DbSession session, Guid ownerId, MemoryScope scope, string? slot, Guid[] named, CancellationToken ct) =>
        session.QueryAsync(
            """
            select id, content_hash, valid_from, immutable from memories
            where owner_id = $1 and subject_hash = $2 and status = 0 and valid_to is null and (slot = $3::text or id = any($4))
            for update
            """,
            [ownerId, ContentHash.OfSubject(scope), slot, named],
            reader => new SupersessionCandidate(reader.GetGuid(0), reader.GetFieldValue<byte[]>(1), reader.Time(2), reader.GetBoolean(3)),
            ct);

    /// <summary>
    /// What somebody decided of a pending memory. An approved one closes what it contradicts in the same transaction, by what it states or as the model
    /// that found it said; one that is older than what it contradicts is closed itself.
    /// </summary>
    /// <returns>What has changed, the memory first; empty when somebody else changed it meanwhile.</returns>
    /// <exception cref="MemoryConflictException">Another live memory of the same subjects says the same.</exception>
    internal async Task<IReadOnlyList<Guid>> DecideAsync(Guid ownerId, Guid operationId, MemoryEdit decided, string model, DateTimeOffset now, CancellationToken ct)
    {
        await using var session = await database.ForOwner(ownerId).BeginAsync(ct);
        await LockSubjectsAsync(session, ownerId, [decided.Before.Scope], ct);
        if (await MemoryEditing.ApplyAsync(session, ownerId, operationId, decided, model, now, ct) is not { } after)
            return [];
        var closed = decided.Status == MemoryStatus.Active ? await CloseContradictedAsync(session, ownerId, operationId, decided, after, now, ct) : [];
        await session.CommitAsync(ct);
        return [after.Id.Value, .. closed];
    }

    private static async Task<IReadOnlyList<Guid>> CloseContradictedAsync(
        DbSession session, Guid ownerId, Guid operationId, MemoryEdit approved, MemoryRow after, DateTimeOffset now, CancellationToken ct)
    {
        var named = await session.QuerySingleAsync(
            "select contradicts from memories where id = $1 and owner_id = $2 and contradicts is not null", [after.Id.Value, ownerId], reader => reader.GetFieldValue<Guid[]>(0), ct) ?? [];
        if (approved.Slot is null && named.Length == 0)
            return [];
        var others = await ContradictedAsync(session, ownerId, after.Scope, approved.Slot, named, ct);
        var plan = Supersession.Decide(approved.ContentHash, after.ValidFrom, [.. others.Where(other => other.Id != after.Id.Value)]);
        var batch = session.CreateBatch();
        foreach (var id in plan.Closed)
            MemoryClosing.Add(batch, ownerId, operationId, id, now, after.ValidFrom, after.Id.Value);
        if (plan.ValidTo is { } ended)
            MemoryClosing.Add(batch, ownerId, operationId, after.Id.Value, now, ended, plan.ClosedBy);
        if (batch.Count > 0)
            await batch.ExecuteAsync(ct);
        return plan.Closed;
    }

    private static Task<List<Inserted?>> InsertAsync(
        DbBatch batch, Guid ownerId, Guid operationId, IReadOnlyList<NewMemory> memories, string model, CancellationToken ct)
    {
        foreach (var memory in memories)
            MemoryInsert.Add(batch, ownerId, operationId, memory, model);
        Graph.EntityLinks.Add(batch, ownerId, memories);
        return batch.ReadAsync(
            async (reader, token) =>
            {
                var results = new List<Inserted?>(memories.Count);
                do
                    results.Add(await MemoryInsert.ReadAsync(reader, token));
                while (results.Count < memories.Count && await reader.NextResultAsync(token));
                return results;
            },
            ct);
    }

    private static bool IsLive(Inserted result, DateTimeOffset now) => result.Added || result.ExpiresAt is null || result.ExpiresAt > now;

    private static StoredMemory ToStored(NewMemory memory, Inserted result, IReadOnlyList<MemoryId> closed)
    {
        // A group whose answer was lost may have stored it: then what is found under its id is itself.
        var isNew = result.Added || result.Id == memory.Id.Value;
        var change = !isNew ? MemoryChange.Duplicate
            : memory.Status == MemoryStatus.Pending ? MemoryChange.Pending
            : closed.Count > 0 ? MemoryChange.Superseded
            : MemoryChange.Added;
        return new StoredMemory(memory, new MemoryId(result.Id), isNew ? result.Sequence : 0, change, closed);
    }
}
