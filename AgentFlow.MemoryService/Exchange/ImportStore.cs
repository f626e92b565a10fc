using System.Security.Cryptography;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Graph;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.MemoryService.Exchange;

/// <summary>Writes imported memories as they were: ids, versions, times and history. Thread-safe.</summary>
internal sealed class ImportStore(Database database)
{
    private const string MemorySql =
        """
        with added as (
            insert into memories (id, owner_id, user_id, agent_id, session_id, app_id, subject_hash, kind, text, content_hash, slot, metadata,
                categories, trust, source, role, actor, immutable, status, version, created_at, updated_at, observed_at, expires_at, valid_from, valid_to, superseded_by)
            values ($1, $2, $3::text, $4::text, $5::text, $6::text, $7, $8, $9, $10, $11::text, $12::jsonb,
                $13, $14, $15::text, $16::text, $17::text, $18, $19, $20, $21, $22, $23::timestamptz, $24::timestamptz, $25, $26::timestamptz, $27::uuid)
            on conflict do nothing returning id
        ), embedded as (
            insert into memory_embeddings (memory_id, model, owner_id, vector) select id, $28, $2, $29::bytea from added where $29::bytea is not null
        ), queued as (
            insert into index_outbox (entity_id, owner_id, version, op) select id, $2, $20, 'upsert' from added where $19 = 0
            on conflict (entity_id) do update set version = excluded.version, op = excluded.op, attempts = 0, not_before = now()
        )
        select (select count(*)::int from added), coalesce((select id from memories where owner_id = $2 and id = $1),
            (select id from memories where owner_id = $2 and subject_hash = $7 and content_hash = $10 and status in (0, 1) and valid_to is null and $26::timestamptz is null))
        """;

    private const int RelinkedAtOnce = 1_000;

    /// <summary>What became of one memory.</summary>
    /// <param name="IsAdded">It was not there.</param>
    /// <param name="Id">Under which it is there; null when the id belongs to somebody else, whom the caller must not learn of.</param>
    internal readonly record struct Outcome(bool IsAdded, Guid? Id)
    {
        internal bool IsTaken => Id is null;
    }

    /// <summary>The id that an owner's copy of a memory has where the memory's own is taken: always the same one, so that an import can be repeated.</summary>
    internal static MemoryId OwnId(Guid ownerId, MemoryId id)
    {
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(Encoding.ASCII.GetBytes($"{ownerId:D}\n{id}"), hash);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x80);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new MemoryId(new Guid(hash[..16], bigEndian: true));
    }

    /// <summary>What was superseded by a memory that got another id names that one.</summary>
    /// <param name="moved">The id that it has here, by the one that it had.</param>
    internal async Task RelinkAsync(Guid ownerId, IReadOnlyDictionary<Guid, Guid> moved, CancellationToken ct)
    {
        foreach (var some in moved.Chunk(RelinkedAtOnce))
        {
            await database.ForOwner(ownerId).ExecuteAsync(
                """
                update memories m set superseded_by = l.kept, changed_xid = pg_current_xact_id() from unnest($2, $3) as l (given, kept)
                where m.owner_id = $1 and m.superseded_by = l.given
                """,
                [ownerId, some.Select(one => one.Key).ToArray(), some.Select(one => one.Value).ToArray()], ct);
        }
    }

    /// <summary>Stores what is not there yet, all of it in one transaction.</summary>
    /// <returns>What became of each, in order.</returns>
    internal async Task<IReadOnlyList<Outcome>> AddAsync(Guid ownerId, Guid operationId, IReadOnlyList<ImportedMemory> memories, string model, CancellationToken ct)
    {
        if (memories.Count == 0)
            return [];
        await using var session = await database.ForOwner(ownerId).BeginAsync(ct);
        var batch = session.CreateBatch();
        foreach (var memory in memories)
            batch.Add(MemorySql, Parameters(ownerId, memory, model));
        var outcomes = await batch.ReadAsync((reader, token) => ReadAsync(reader, [.. memories.Select(memory => memory.Exported.Memory.Id.Value)], token), ct);
        var past = session.CreateBatch();
        foreach (var (memory, outcome) in memories.Zip(outcomes))
        {
            if (outcome.IsAdded)
                AddPast(past, ownerId, operationId, memory);
        }

        EntityLinks.Add(past, ownerId, [.. memories.Zip(outcomes).Where(one => one.Second.IsAdded).Select(one => one.First.ToNamed())]);
        if (past.Count > 0)
            await past.ExecuteAsync(ct);
        await session.CommitAsync(ct);
        return outcomes;
    }

    private static async Task<List<Outcome>> ReadAsync(NpgsqlDataReader reader, Guid[] ids, CancellationToken ct)
    {
        var outcomes = new List<Outcome>(ids.Length);
        do
        {
            await reader.ReadAsync(ct);
            var isAdded = reader.GetInt32(0) > 0;
            outcomes.Add(new Outcome(isAdded, isAdded ? ids[outcomes.Count] : reader.NullableGuid(1)));
        }
        while (outcomes.Count < ids.Length && await reader.NextResultAsync(ct));
        return outcomes;
    }

    private static object?[] Parameters(Guid ownerId, ImportedMemory imported, string model)
    {
        var (memory, scope) = (imported.Exported.Memory, imported.Scope);
        var status = imported.Exported.Status switch { "pending" => MemoryStatus.Pending, "rejected" => MemoryStatus.Rejected, _ => MemoryStatus.Active };
        return
        [
            memory.Id.Value, ownerId, scope.UserId, scope.AgentId, scope.SessionId, scope.AppId, ContentHash.OfSubject(scope), (short)memory.Kind, memory.Text,
            ContentHash.Of(memory.Text, memory.Kind, memory.ObservedAt, memory.Role, memory.Actor), memory.Kind == MemoryKind.Fact ? FactSlot.Parse(memory.Text)?.Name : null,
            memory.Metadata?.GetRawText() ?? "{}", memory.Categories.ToArray(), (short)memory.Trust, memory.Source, memory.Role, memory.Actor, memory.Immutable,
            (short)status, memory.Version, memory.CreatedAt, memory.UpdatedAt, memory.ObservedAt, memory.ExpiresAt,
            memory.ValidFrom ?? memory.ObservedAt ?? memory.CreatedAt, memory.ValidTo, memory.SupersededBy?.Value, model, VectorBytes.From(imported.Vector),
        ];
    }

    private static void AddPast(DbBatch batch, Guid ownerId, Guid operationId, ImportedMemory imported)
    {
        var (exported, scope) = (imported.Exported, imported.Scope);
        foreach (var version in exported.Versions)
        {
            batch.Add(
                """
                insert into memory_versions (memory_id, version, owner_id, text, metadata, categories, expires_at, valid_from, valid_to, recorded_at, replaced_at)
                values ($1, $2, $3, $4, $5::jsonb, $6, $7::timestamptz, $8, $9::timestamptz, $10, $11)
                """,
                [
                    exported.Memory.Id.Value, version.Version, ownerId, version.Text, version.Metadata?.GetRawText() ?? "{}", version.Categories.ToArray(), version.ExpiresAt,
                    version.ValidFrom, version.ValidTo, version.RecordedAt, version.ReplacedAt,
                ]);
        }

        IReadOnlyList<ExportedChange> changes = exported.History.Count > 0 ? exported.History
            : [new ExportedChange { OperationId = operationId, Version = exported.Memory.Version, Event = MemoryChange.Added, NewText = exported.Memory.Text, At = exported.Memory.CreatedAt }];
        foreach (var change in changes)
        {
            batch.Add(
                """
                insert into memory_history (owner_id, operation_id, memory_id, version, event, old_text, new_text, user_id, agent_id, session_id, app_id, role, actor, at)
                values ($1, $2, $3, $4, $5, $6::text, $7::text, $8::text, $9::text, $10::text, $11::text, $12::text, $13::text, $14)
                """,
                [
                    ownerId, change.OperationId, exported.Memory.Id.Value, change.Version, (short)change.Event, change.OldText, change.NewText, scope.UserId, scope.AgentId,
                    scope.SessionId, scope.AppId, exported.Memory.Role, exported.Memory.Actor, change.At,
                ]);
        }
    }
}

/// <param name="Exported">What is taken in.</param>
/// <param name="Scope">Whose it becomes.</param>
/// <param name="Vector">Empty when the embedder did not answer.</param>
internal sealed record ImportedMemory(ExportedMemory Exported, MemoryScope Scope, ReadOnlyMemory<float> Vector)
{
    internal ImportedMemory As(MemoryId id) => this with { Exported = Exported with { Memory = Exported.Memory with { Id = id } } };

    /// <summary>With the names that it holds and the relations that it states.</summary>
    internal NewMemory ToNamed() => new()
    {
        Id = Exported.Memory.Id,
        Scope = Scope,
        Kind = Exported.Memory.Kind,
        Text = Exported.Memory.Text,
        ContentHash = [],
        Trust = Exported.Memory.Trust,
        CreatedAt = Exported.Memory.CreatedAt,
        Entities = EntityNames.In(Exported.Memory.Text),
        Relations = [.. Exported.Relations.Select(relation => new EntityRelation(relation.Source, relation.Relation, relation.Target))],
    };
}
