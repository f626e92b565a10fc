using System.Text.Json;
using AgentFlow.MemoryService.Graph;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.MemoryService.Memories;

/// <summary>
/// Group commit: memories that an owner's requests bring while the transaction before is under way go to the disk together in the next one, each
/// of them whole and answered only then. Alone, a memory waits for nobody. What an owner's group can not take (the same text is there, or any
/// failure) is left to the caller, who tries it by itself. Thread-safe.
/// </summary>
internal sealed class MemoryGroups(Database database)
{
    /// <summary>Memories of one transaction at most.</summary>
    private const int MaxGroup = 128;

    private const string Sql =
        """
        with given as (
            select * from unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23) with ordinality as g
                (id, operation_id, user_id, agent_id, session_id, app_id, subject_hash, kind, text, content_hash, metadata, categories, trust, source, role,
                actor, immutable, status, created_at, observed_at, expires_at, vector, place)
        ), added as (
            insert into memories (id, owner_id, user_id, agent_id, session_id, app_id, subject_hash, kind, text, content_hash, metadata, categories, trust,
                source, role, actor, immutable, status, created_at, updated_at, observed_at, expires_at, valid_from)
            select id, $1, user_id, agent_id, session_id, app_id, subject_hash, kind, text, content_hash, metadata::jsonb,
                case when categories = '[]' then '{}' else array(select jsonb_array_elements_text(categories::jsonb)) end,
                trust, source, role, actor, immutable, status, created_at, created_at, observed_at, expires_at, coalesce(observed_at, created_at)
            from given order by place
            on conflict (owner_id, subject_hash, content_hash) where status in (0, 1) and valid_to is null do nothing
            returning id, seq
        ), embedded as (
            insert into memory_embeddings (memory_id, model, owner_id, vector)
            select g.id, $24, $1, g.vector from given g join added using (id) where g.vector is not null
        ), told as (
            insert into memory_history (owner_id, operation_id, memory_id, version, event, new_text, user_id, agent_id, session_id, app_id, role, actor, at)
            select $1, g.operation_id, g.id, 1, case g.status when 0 then $25 else $26 end, g.text, g.user_id, g.agent_id, g.session_id, g.app_id, g.role, g.actor,
                g.created_at
            from given g join added using (id) order by g.place
        ), queued as (
            insert into index_outbox (entity_id, owner_id, version, op, not_before)
            select g.id, $1, 1, 'upsert', now() + interval '2 seconds' from given g join added using (id) where g.status = 0
        )
        select id, seq from added
        """;

    private readonly Dictionary<Guid, Queue<Waiting>> _waiting = [];

    /// <param name="memory">Excludes no other: it has no slot and contradicts nothing.</param>
    /// <returns>Its sequence number; null when the group did not take it.</returns>
    internal async Task<long?> InsertAsync(Guid ownerId, Guid operationId, NewMemory memory, string model)
    {
        var waiting = new Waiting(operationId, memory, model);
        if (!Join(ownerId, waiting) && !await waiting.Leads.Task)
            return waiting.Sequence;
        try
        {
            await StoreAsync(ownerId, Next(ownerId));
        }
        finally
        {
            PassOn(ownerId);
        }

        return waiting.Sequence;
    }

    /// <returns>Whether the caller has to carry out the group, since nobody does.</returns>
    private bool Join(Guid ownerId, Waiting waiting)
    {
        lock (_waiting)
        {
            var leads = !_waiting.TryGetValue(ownerId, out var queue);
            if (leads)
                _waiting[ownerId] = queue = new Queue<Waiting>();
            queue!.Enqueue(waiting);
            return leads;
        }
    }

    private List<Waiting> Next(Guid ownerId)
    {
        lock (_waiting)
        {
            var queue = _waiting[ownerId];
            var group = new List<Waiting>(Math.Min(queue.Count, MaxGroup));
            while (group.Count < MaxGroup && queue.TryDequeue(out var waiting))
                group.Add(waiting);
            return group;
        }
    }

    /// <summary>The first of those who came meanwhile carries out the next group; where nobody came, the owner is forgotten in the same moment.</summary>
    private void PassOn(Guid ownerId)
    {
        lock (_waiting)
        {
            if (_waiting[ownerId].TryPeek(out var next))
                next.Leads.SetResult(true);
            else
                _waiting.Remove(ownerId);
        }
    }

    private async Task StoreAsync(Guid ownerId, List<Waiting> group)
    {
        try
        {
            var stored = await InsertAsync(ownerId, group);
            foreach (var waiting in group)
                waiting.Sequence = stored.TryGetValue(waiting.Memory.Id.Value, out var sequence) ? sequence : null;
        }
        catch (Exception error) when (error is NpgsqlException or TimeoutException)
        {
            // Each tries by itself and meets its own error; a group must not fail because of one of its members.
        }
        finally
        {
            // The leader, who is the first, waits for nothing.
            foreach (var waiting in group.Skip(1))
                waiting.Leads.SetResult(false);
        }
    }

    private Task<Dictionary<Guid, long>> InsertAsync(Guid ownerId, List<Waiting> group)
    {
        var batch = database.ForOwner(ownerId).CreateBatch().Add(Sql, Parameters(ownerId, group));
        EntityLinks.Add(batch, ownerId, [.. group.Select(waiting => waiting.Memory)]);
        return batch.ReadAsync(
            async (reader, token) =>
            {
                var stored = new Dictionary<Guid, long>(group.Count);
                while (await reader.ReadAsync(token))
                    stored[reader.GetGuid(0)] = reader.GetInt64(1);
                return stored;
            },
            CancellationToken.None);
    }

    private static object?[] Parameters(Guid ownerId, List<Waiting> group)
    {
        return
        [
            ownerId, Column(memory => memory.Id.Value), group.Select(waiting => waiting.OperationId).ToArray(), Column(memory => memory.Scope.UserId),
            Column(memory => memory.Scope.AgentId), Column(memory => memory.Scope.SessionId), Column(memory => memory.Scope.AppId),
            Column(memory => ContentHash.OfSubject(memory.Scope)), Column(memory => (short)memory.Kind), Column(memory => memory.Text),
            Column(memory => memory.ContentHash), Column(memory => memory.Metadata), Column(memory => memory.Categories.Length == 0 ? "[]" : JsonSerializer.Serialize(memory.Categories)),
            Column(memory => (short)memory.Trust), Column(memory => memory.Source), Column(memory => memory.Role), Column(memory => memory.Actor),
            Column(memory => memory.Immutable), Column(memory => (short)memory.Status), Column(memory => memory.CreatedAt), Column(memory => memory.ObservedAt),
            Column(memory => memory.ExpiresAt), Column(memory => VectorBytes.From(memory.Vector)), group[0].Model,
            (short)Contracts.Memories.MemoryChange.Added, (short)Contracts.Memories.MemoryChange.Pending,
        ];

        T[] Column<T>(Func<NewMemory, T> read) => [.. group.Select(waiting => read(waiting.Memory))];
    }

    private sealed record Waiting(Guid OperationId, NewMemory Memory, string Model)
    {
        /// <summary>False when the memory's group is done, true when its caller shall carry it out.</summary>
        internal TaskCompletionSource<bool> Leads { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        internal long? Sequence { get; set; }
    }
}
