using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.MemoryService.Memories;

/// <summary>
/// The one statement that stores a memory with its vector, history and outbox row, or finds the one that says the same: a single round
/// trip, and one transaction whatever becomes of the process.
/// </summary>
internal static class MemoryInsert
{
    private const string Sql =
        """
        with added as (
            insert into memories (id, owner_id, user_id, agent_id, session_id, app_id, subject_hash, kind, text, content_hash, slot, metadata,
                categories, trust, source, role, actor, immutable, status, created_at, updated_at, observed_at, expires_at, valid_from, valid_to,
                superseded_by, contradicts)
            values ($1, $2, $3::text, $4::text, $5::text, $6::text, $7, $8, $9, $10, $11::text, $12::jsonb,
                $13, $14, $15::text, $16::text, $17::text, $18, $19, $20, $20, $21::timestamptz, $22::timestamptz, $23, $24::timestamptz,
                $25::uuid, $30::uuid[])
            on conflict (owner_id, subject_hash, content_hash) where status in (0, 1) and valid_to is null do nothing
            returning id, seq
        ), embedded as (
            insert into memory_embeddings (memory_id, model, owner_id, vector)
            select id, $26, $2, $27::bytea from added where $27::bytea is not null
        ), told as (
            insert into memory_history (owner_id, operation_id, memory_id, version, event, new_text, user_id, agent_id, session_id, app_id, role, actor, at)
            select $2, $28, id, 1, $29, $9, $3::text, $4::text, $5::text, $6::text, $16::text, $17::text, $20 from added
        ), queued as (
            insert into index_outbox (entity_id, owner_id, version, op, not_before)
            select id, $2, 1, 'upsert', now() + interval '2 seconds' from added where $19 = 0
        )
        select id, seq, true, null::timestamptz from added
        union all
        select id, seq, false, expires_at from memories
        where owner_id = $2 and subject_hash = $7 and content_hash = $10 and status in (0, 1) and valid_to is null
            and not exists (select from added)
        """;

    internal static void Add(DbBatch batch, Guid ownerId, Guid operationId, NewMemory memory, string model)
    {
        var pending = memory.Status == MemoryStatus.Pending;
        batch.Add(
            Sql,
            [
                memory.Id.Value, ownerId, memory.Scope.UserId, memory.Scope.AgentId, memory.Scope.SessionId, memory.Scope.AppId,
                ContentHash.OfSubject(memory.Scope), (short)memory.Kind, memory.Text, memory.ContentHash, memory.Slot?.Name, memory.Metadata,
                memory.Categories, (short)memory.Trust, memory.Source, memory.Role, memory.Actor, memory.Immutable, (short)memory.Status,
                memory.CreatedAt, memory.ObservedAt, memory.ExpiresAt, memory.ValidFrom, memory.ValidTo, memory.SupersededBy,
                model, VectorBytes.From(memory.Vector), operationId, (short)(pending ? MemoryChange.Pending : MemoryChange.Added),
                pending && memory.Contradicts.Count > 0 ? memory.Contradicts.ToArray() : null,
            ]);
    }

    /// <summary>Reads the result of one <see cref="Add"/>; null when another transaction stores the same text at this moment.</summary>
    internal static async Task<Inserted?> ReadAsync(NpgsqlDataReader reader, CancellationToken ct)
    {
        Inserted? inserted = null;
        while (await reader.ReadAsync(ct))
            inserted = new Inserted(reader.GetGuid(0), reader.GetInt64(1), reader.GetBoolean(2), reader.NullableTime(3));
        return inserted;
    }
}

/// <param name="Added">False: <paramref name="Id"/> is the memory that says the same already.</param>
/// <param name="ExpiresAt">Of the one that says the same.</param>
internal sealed record Inserted(Guid Id, long Sequence, bool Added, DateTimeOffset? ExpiresAt);
