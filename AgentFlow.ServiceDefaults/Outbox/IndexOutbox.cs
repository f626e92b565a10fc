using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ServiceDefaults.Outbox;

/// <summary>One thing whose index entry is behind. Only a hint to look: what is applied is the current row, never this.</summary>
public sealed record OutboxEntry(Guid EntityId, Guid OwnerId, long Version, bool IsDelete, int Attempt);

/// <summary>Brings index entries up to the current rows. Must be safe to repeat: an entry comes again until it was applied.</summary>
public interface IIndexOutboxHandler
{
    /// <summary>Applies all, or throws; entries of several owners may come together.</summary>
    Task ApplyAsync(IReadOnlyList<OutboxEntry> entries, CancellationToken ct);
}

/// <summary>The writing side of the index outbox.</summary>
public static class IndexOutbox
{
    /// <summary>Adds the entry to the transaction of the change itself; a newer version replaces an older entry.</summary>
    public static DbBatch AddOutbox(this DbBatch batch, Guid ownerId, Guid entityId, long version, bool isDelete = false)
    {
        ArgumentNullException.ThrowIfNull(batch);
        return batch.Add(
            """
            insert into index_outbox (entity_id, owner_id, version, op) values ($1, $2, $3, $4)
            on conflict (entity_id) do update set version = excluded.version, op = excluded.op, not_before = now(), attempts = 0
            where index_outbox.version <= excluded.version
            """,
            [entityId, ownerId, version, isDelete ? "delete" : "upsert"]);
    }

    /// <summary>The same for many entities of one owner, in one statement.</summary>
    public static DbBatch AddOutbox(this DbBatch batch, Guid ownerId, Guid[] entityIds, long[] versions, bool isDelete = false)
    {
        ArgumentNullException.ThrowIfNull(batch);
        return batch.Add(
            """
            insert into index_outbox (entity_id, owner_id, version, op) select id, $1, version, $4 from unnest($2, $3) as entries (id, version)
            on conflict (entity_id) do update set version = excluded.version, op = excluded.op, not_before = now(), attempts = 0
            where index_outbox.version <= excluded.version
            """,
            [ownerId, entityIds, versions, isDelete ? "delete" : "upsert"]);
    }
}
