using System.Runtime.CompilerServices;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Documents;

/// <summary>
/// The passages that an index is derived from: those of live versions, and of staged ones, which take their place at any moment (decision 0047). Reads as
/// the worker, for any owner.
/// </summary>
internal sealed class ChunkTruth(Database database, EmbeddingSpace space) : IIndexTruth
{
    private const string PointColumns = """
        c.id, c.owner_id, c.index_version, c.heading_path, c.text, e.vector, c.document_id, d.name, d.format, d.tags,
        (case when c.document_version = d.staged_version then d.staged_metadata || d.metadata else d.metadata end)::text, d.created_at,
        (select array_agg(m.collection_id) from collection_documents m where m.document_id = d.id),
        case when c.document_version = d.staged_version then d.staged_title else d.title end
        """;

    /// <summary>Each twice while a new version is staged.</summary>
    private const string SelectDocuments = """
        select d.id, d.name, d.format, d.tags, (case when of.is_staged then d.staged_metadata || d.metadata else d.metadata end)::text, d.created_at,
            (select array_agg(m.collection_id) from collection_documents m where m.document_id = d.id), case when of.is_staged then d.staged_title else d.title end, of.version
        from documents d cross join lateral (values (d.live_version, false), (d.staged_version, true)) of (version, is_staged)
        where d.owner_id = $1 and d.live_version is not null and of.version is not null
        """;

    /// <summary>One scan for the whole owner; pages by key would sort everything again for each.</summary>
    private const string DeclareLoad = """
        declare points no scroll cursor for
        select c.id, c.index_version, c.heading_path, c.text, e.vector, c.document_id, c.document_version
        from chunks c
        join documents d on d.id = c.document_id and c.document_version in (d.live_version, d.staged_version)
        left join chunk_embeddings e on e.owner_id = c.owner_id and e.model = $2 and e.content_hash = c.content_hash
        where c.owner_id = $1 and d.owner_id = $1 and c.deleted_at is null
        """;

    private const string FetchPoints = "fetch 1000 from points";

    /// <summary>One look by key for each row, as in <see cref="DocumentSearch.ReadHits"/>.</summary>
    internal const string Read = $"""
        select {PointColumns}, c.deleted_at is null and d.id is not null, c.document_version
        from unnest($1) as wanted (id)
        cross join lateral (select * from chunks where id >= wanted.id and id <= wanted.id order by id limit 1) c
        left join lateral (
            select * from documents
            where id >= c.document_id and id <= c.document_id and c.document_version in (live_version, staged_version) order by id limit 1) d on true
        left join lateral (select vector from chunk_embeddings where owner_id = c.owner_id and model = $2 and content_hash = c.content_hash limit 1) e on true
        where c.deleted_at is not null or d.id is not null
        """;

    private const string Page = """
        select c.owner_id, c.id, c.index_version, c.deleted_at is not null
        from chunks c
        left join documents d on d.id = c.document_id and c.document_version in (d.live_version, d.staged_version)
        where ($1::uuid is null or c.id > $1) and (c.deleted_at is not null or d.id is not null)
            and greatest(c.changed_at, coalesce(d.updated_at, c.changed_at)) < now() - $3
        order by c.id limit $2
        """;

    public async IAsyncEnumerable<IndexPoint> LoadAsync(Guid ownerId, [EnumeratorCancellation] CancellationToken ct)
    {
        await using var session = await database.AsWorker().BeginAsync(ct);
        var fields = (await session.QueryAsync(
            SelectDocuments,
            [ownerId],
            row => KeyValuePair.Create((row.GetGuid(0), row.GetInt32(8)), new Told(
                DocumentFields.Of(
                    row.GetGuid(0), row.GetInt32(8), row.GetString(1), row.GetString(2), (string[])row[3], row.GetString(4), row.GetDateTime(5), row.IsDBNull(6) ? [] : (Guid[])row[6]),
                ChunkText.Label(row.GetString(1), row.NullableString(7)))),
            ct)).ToDictionary();
        await session.ExecuteAsync(DeclareLoad, [ownerId, space.Model], ct);
        while (await session.QueryAsync(FetchPoints, [], row => Loaded(row, fields), ct) is { Count: > 0 } page)
        {
            foreach (var point in page)
            {
                if (point is not null)
                    yield return point;
            }
        }
    }

    /// <summary>Null for a passage of a version that was published or staged after the fields were read: its own write brings it.</summary>
    private static IndexPoint? Loaded(NpgsqlDataReader row, Dictionary<(Guid Id, int Version), Told> documents) =>
        !documents.TryGetValue((row.GetGuid(5), row.GetInt32(6)), out var document) ? null : new IndexPoint
        {
            Id = row.GetGuid(0),
            Version = row.GetInt64(1),
            Vector = row.NullableFloats(4),
            Text = ChunkText.ForWords(document.Label, (string[])row[2], row.GetString(3)),
            Fields = document.Fields,
        };

    public Task<IReadOnlyList<TruthPoint>> ReadAsync(IReadOnlyList<Guid> ids, CancellationToken ct) => ReadListAsync([.. ids.Distinct()], ct);

    public async Task<IReadOnlyList<IndexEntry>> PageAsync(Guid? after, int limit, TimeSpan settledFor, CancellationToken ct) =>
        await database.AsWorker().QueryAsync(
            Page, [after, limit, settledFor], row => new IndexEntry(row.GetGuid(0), row.GetGuid(1), row.GetInt64(2), row.GetBoolean(3)), ct);

    private async Task<IReadOnlyList<TruthPoint>> ReadListAsync(Guid[] ids, CancellationToken ct)
    {
        var documents = new Dictionary<(Guid, int), Told>();
        return await database.AsWorker().CreateBatch().ByKey().Add(Read, [ids, space.Model]).ReadAllAsync(
            row => new TruthPoint(row.GetGuid(1), row.GetGuid(0), row.GetInt64(2), row.GetBoolean(14) ? ReadPoint(row, documents) : null),
            ct);
    }

    private static IndexPoint ReadPoint(NpgsqlDataReader row, Dictionary<(Guid Id, int Version), Told> documents)
    {
        var (id, version) = (row.GetGuid(6), row.GetInt32(15));
        if (!documents.TryGetValue((id, version), out var document))
        {
            var fields = DocumentFields.Of(
                id, version, row.GetString(7), row.GetString(8), (string[])row[9], row.GetString(10), row.GetDateTime(11), row.IsDBNull(12) ? [] : (Guid[])row[12]);
            documents[(id, version)] = document = new Told(fields, ChunkText.Label(row.GetString(7), row.NullableString(13)));
        }

        return new IndexPoint
        {
            Id = row.GetGuid(0),
            Version = row.GetInt64(2),
            Vector = row.NullableFloats(5),
            Text = ChunkText.ForWords(document.Label, (string[])row[3], row.GetString(4)),
            Fields = document.Fields,
        };
    }

    /// <summary>What a version of a document tells of each of its passages; one instance for all of them.</summary>
    private sealed record Told(IReadOnlyDictionary<string, JsonElement> Fields, string Label);
}

internal static class IndexWrites
{
    public static IndexWrite From(TruthPoint point) =>
        point.Point is { } live ? new IndexWrite.Put(live) : new IndexWrite.Remove(point.Id, point.Version);
}

/// <summary>Brings the index up to the rows that the outbox names.</summary>
internal sealed class ChunkOutbox(ChunkTruth truth, VectorIndex index, IndexFollower follower) : IIndexOutboxHandler
{
    public async Task ApplyAsync(IReadOnlyList<OutboxEntry> entries, CancellationToken ct)
    {
        var current = (await truth.ReadAsync([.. entries.Select(entry => entry.EntityId)], ct)).ToDictionary(point => point.Id);
        foreach (var owner in entries.GroupBy(entry => entry.OwnerId))
        {
            // A row that is gone altogether was purged after its deletion; the index must forget it too.
            var writes = owner.Select(entry => current.TryGetValue(entry.EntityId, out var point)
                ? IndexWrites.From(point)
                : new IndexWrite.Remove(entry.EntityId, entry.Version)).ToList();
            await index.For(owner.Key).WriteAsync(writes, ct);
            await follower.TellAsync(owner.Key, [.. writes.Select(write => write.Id)], ct);
        }
    }
}
