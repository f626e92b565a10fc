using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Graph;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.MemoryService.Memories;

/// <summary>What a memory will say after an edit; <see cref="Vector"/> is null when the text stays.</summary>
internal sealed record MemoryEdit(
    MemoryRow Before, string Text, byte[] ContentHash, string? Slot, string Metadata, string[] Categories, DateTimeOffset? ExpiresAt,
    DateTimeOffset? ObservedAt, MemoryStatus Status, ReadOnlyMemory<float>? Vector);

/// <summary>Changes and deletes single memories, each in one statement with its version, history and outbox row. Thread-safe.</summary>
internal sealed class MemoryEditing(Database database)
{
    private const string EditSql =
        $"""
        with old as (
            select * from memories where id = $1 and owner_id = $2 and version = $3 and status <> 3 for update
        ), kept as (
            insert into memory_versions (memory_id, version, owner_id, text, metadata, categories, expires_at, valid_from, valid_to, recorded_at, replaced_at)
            select id, version, owner_id, text, metadata, categories, expires_at, valid_from, valid_to, updated_at, $4 from old
        ), told as (
            insert into memory_history (owner_id, operation_id, memory_id, version, event, old_text, new_text, user_id, agent_id, session_id, app_id, role, actor, at)
            select owner_id, $5, id, version + 1, $6, text, $7, user_id, agent_id, session_id, app_id, role, actor, $4 from old
        ), queued as (
            insert into index_outbox (entity_id, owner_id, version, op)
            select id, owner_id, version + 1, case when $13 = 0 then 'upsert' else 'delete' end from old
            on conflict (entity_id) do update set version = excluded.version, op = excluded.op, attempts = 0, not_before = now()
        ), dropped as (
            delete from memory_embeddings e using old where $14 and e.memory_id = old.id and (e.model <> $15 or $16::bytea is null)
        ), unlinked as (
            delete from memory_entity_links l using old where $14 and l.memory_id = old.id
        ), unrelated as (
            delete from memory_relations r using old where $14 and r.memory_id = old.id
        ), embedded as (
            insert into memory_embeddings (memory_id, model, owner_id, vector)
            select id, $15, owner_id, $16::bytea from old where $14 and $16::bytea is not null
            on conflict (memory_id, model) do update set vector = excluded.vector
        )
        update memories m set text = $7, content_hash = $8, slot = $9::text, metadata = $10::jsonb, categories = $11, expires_at = $12::timestamptz,
            observed_at = $17::timestamptz, valid_from = case when $17::timestamptz is distinct from old.observed_at then coalesce($17::timestamptz, m.valid_from) else m.valid_from end,
            status = $13, version = m.version + 1, updated_at = $4, changed_xid = pg_current_xact_id()
        from old where m.id = old.id
        returning {MemoryRow.Columns}
        """;

    /// <summary>Locks in the order of the ids. One look for each: as a list beside the owner, a plan may read all that the owner has, for every step of a large deletion.</summary>
    private const string DeleteSql =
        """
        with old as (
            select m.* from unnest($2) as given (id) cross join lateral (select * from memories where id = given.id and owner_id = $1 and status <> 3 limit 1 for update) m
        ), unembedded as (
            delete from memory_embeddings e using old where e.memory_id = old.id
        ), unlinked as (
            delete from memory_entity_links l using old where l.memory_id = old.id
        ), unrelated as (
            delete from memory_relations r using old where r.memory_id = old.id
        ), told as (
            insert into memory_history (owner_id, operation_id, memory_id, version, event, old_text, user_id, agent_id, session_id, app_id, role, actor, at)
            select owner_id, $3, id, version + 1, $4, text, user_id, agent_id, session_id, app_id, role, actor, $5 from old
        ), queued as (
            insert into index_outbox (entity_id, owner_id, version, op) select id, owner_id, version + 1, 'delete' from old
            on conflict (entity_id) do update set version = excluded.version, op = excluded.op, attempts = 0, not_before = now()
        )
        update memories m set status = 3, text = '', content_hash = '', slot = null, metadata = '{}', categories = '{}', source = null,
            contradicts = null, version = m.version + 1, updated_at = $5, changed_xid = pg_current_xact_id()
        from old where m.id = old.id
        returning m.id, m.version
        """;

    /// <returns>The memory as it is now; null when somebody else changed it since <see cref="MemoryEdit.Before"/> was read.</returns>
    /// <exception cref="MemoryConflictException">Another live memory of the same subjects says the same.</exception>
    internal async Task<MemoryRow?> ApplyAsync(Guid ownerId, Guid operationId, MemoryEdit edit, string model, DateTimeOffset now, CancellationToken ct)
    {
        if (Names(edit).Count == 0)
            return await CatchAsync(() => database.ForOwner(ownerId).QuerySingleAsync(EditSql, Parameters(ownerId, operationId, edit, model, now), MemoryRow.Read, ct));
        await using var session = await database.ForOwner(ownerId).BeginAsync(ct);
        var after = await ApplyAsync(session, ownerId, operationId, edit, model, now, ct);
        await session.CommitAsync(ct);
        return after;
    }

    /// <summary>The same as a part of something larger.</summary>
    internal static async Task<MemoryRow?> ApplyAsync(
        DbSession session, Guid ownerId, Guid operationId, MemoryEdit edit, string model, DateTimeOffset now, CancellationToken ct)
    {
        var after = await CatchAsync(() => session.QuerySingleAsync(EditSql, Parameters(ownerId, operationId, edit, model, now), MemoryRow.Read, ct));
        if (after is not null && Names(edit) is { Count: > 0 } names)
        {
            var links = session.CreateBatch();
            EntityLinks.Add(links, ownerId, [ToNamed(after, edit, names)]);
            await links.ExecuteAsync(ct);
        }

        return after;
    }

    private static async Task<MemoryRow?> CatchAsync(Func<Task<MemoryRow?>> apply)
    {
        try
        {
            return await apply();
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.UniqueViolation && error.ConstraintName == "memories_live_text")
        {
            throw new MemoryConflictException();
        }
    }

    private static object?[] Parameters(Guid ownerId, Guid operationId, MemoryEdit edit, string model, DateTimeOffset now) =>
    [
        edit.Before.Id.Value, ownerId, edit.Before.Version, now, operationId, (short)MemoryChange.Updated, edit.Text, edit.ContentHash,
        edit.Slot, edit.Metadata, edit.Categories, edit.ExpiresAt, (short)edit.Status, edit.Vector is not null, model,
        edit.Vector is { } vector ? VectorBytes.From(vector) : null, edit.ObservedAt,
    ];

    /// <summary>Those of a new text; the statement takes the old ones away.</summary>
    private static IReadOnlyList<string> Names(MemoryEdit edit) => edit.Vector is null ? [] : EntityNames.In(edit.Text);

    private static NewMemory ToNamed(MemoryRow row, MemoryEdit edit, IReadOnlyList<string> names) => new()
    {
        Id = row.Id, Scope = row.Scope, Kind = row.Kind, Text = row.Text, Trust = row.Trust, ContentHash = edit.ContentHash, CreatedAt = row.UpdatedAt, Entities = names,
    };

    /// <summary>Deletes what is there of the given memories: the rows stay as empty tombstones, the history says what was deleted.</summary>
    /// <returns>Ids and the versions of the deletions.</returns>
    internal Task<List<(MemoryId Id, int Version)>> DeleteAsync(
        Guid ownerId, Guid operationId, IReadOnlyList<Guid> ids, DateTimeOffset now, CancellationToken ct) =>
        database.ForOwner(ownerId).CreateBatch().ByIndex(oneByOne: true)
            .Add(DeleteSql, [ownerId, ids.Distinct().Order().ToArray(), operationId, (short)MemoryChange.Deleted, now])
            .ReadAsync(
                async (reader, token) =>
                {
                    var deleted = new List<(MemoryId Id, int Version)>(ids.Count);
                    while (await reader.ReadAsync(token))
                        deleted.Add((new MemoryId(reader.GetGuid(0)), reader.GetInt32(1)));
                    return deleted;
                },
                ct);
}

/// <summary>An edit would make two live memories of the same subjects say the same.</summary>
internal sealed class MemoryConflictException() : Exception("Another memory of the same subjects says the same.");
