using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.MemoryService.Memories;

/// <summary>Ends what a memory states at a moment: superseded by another, or run out. The row stays, is found with <c>as_of</c>, and keeps its past in versions.</summary>
internal static class MemoryClosing
{
    private const string Sql =
        """
        with old as (
            select * from memories where id = $1 and owner_id = $2 and status = 0 and valid_to is null for update
        ), kept as (
            insert into memory_versions (memory_id, version, owner_id, text, metadata, categories, expires_at, valid_from, valid_to, recorded_at, replaced_at)
            select id, version, owner_id, text, metadata, categories, expires_at, valid_from, valid_to, updated_at, $3 from old
        ), told as (
            insert into memory_history (owner_id, operation_id, memory_id, version, event, old_text, user_id, agent_id, session_id, app_id, role, actor, at)
            select owner_id, $6, id, version + 1, $7, text, user_id, agent_id, session_id, app_id, role, actor, $3 from old
        ), queued as (
            insert into index_outbox (entity_id, owner_id, version, op) select id, owner_id, version + 1, 'upsert' from old
            on conflict (entity_id) do update set version = excluded.version, op = excluded.op, attempts = 0, not_before = now()
        )
        update memories m set version = m.version + 1, updated_at = $3, valid_to = greatest(m.valid_from, $4), superseded_by = $5::uuid,
            changed_xid = pg_current_xact_id()
        from old where m.id = old.id
        """;

    /// <param name="validTo">When it stopped being true; never before it began.</param>
    internal static void Add(DbBatch batch, Guid ownerId, Guid operationId, Guid id, DateTimeOffset now, DateTimeOffset validTo, Guid? supersededBy) =>
        batch.Add(Sql, [id, ownerId, now, validTo, supersededBy, operationId, (short)Contracts.Memories.MemoryChange.Superseded]);
}
