using AgentFlow.Retrieval.Embedding;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Documents;

/// <summary>The document that an ingestion works on.</summary>
internal sealed record IngestJob
{
    public required Guid DocumentId { get; init; }

    public required Guid OwnerId { get; init; }

    public required int Version { get; init; }

    public required DocumentFormat Format { get; init; }

    public required string Name { get; init; }

    public required Guid OriginalId { get; init; }

    public required long Size { get; init; }

    /// <summary>See <see cref="NewDocument.FetchedAs"/>.</summary>
    public required string? FetchedAs { get; init; }

    /// <summary>UTF-16 units that earlier attempts have stored; their windows are not written again.</summary>
    public required int CursorOffset { get; init; }

    /// <summary>The passages are the document's; the index may still lack some.</summary>
    public required bool IsPublished { get; init; }

    /// <summary>Another version answers until this one takes its place.</summary>
    public required bool IsReplacement { get; init; }

    /// <summary>All passages of the replacement are stored, and the index may hold them.</summary>
    public required bool IsStaged { get; init; }
}

/// <summary>
/// What ingestion writes. Every statement names the document's version: after a deletion, a newer upload or a cancellation it changes
/// nothing, and the worker finds out. All of it may be repeated.
/// </summary>
internal sealed class IngestStore(Database database)
{
    private const char PathSeparator = '\u001f';

    /// <summary>
    /// Time for the few statements that name every passage of a document, which nobody waits for: the largest has 250,000, and the machine may be busy.
    /// </summary>
    private static readonly TimeSpan WholeDocument = TimeSpan.FromMinutes(5);

    private const string Begin = """
        update documents set status = case when status in ('received', 'extracting') then 'extracting' else status end, updated_at = now()
        where id = $1 and version = $2 and status not in ('ready', 'failed')
        returning format, name, original_id, size, cursor_offset, live_version is not distinct from version, live_version is distinct from version and live_version is not null,
            staged_version is not distinct from version, fetched_as
        """;

    private const string Reset = """
        with reset as (
            update documents set cursor_offset = 0, cursor_ordinal = 0 where id = $1 and version = $2 and live_version is distinct from $2 returning id),
        texts as (delete from document_texts t using reset where t.document_id = reset.id and t.version = $2)
        delete from chunks c using reset where c.document_id = reset.id and c.document_version = $2
        """;

    /// <summary>
    /// One look into the index for each hash, whatever the planner believes of a table that has just grown: with <c>= any</c>, a plan made
    /// while it was small compares every row with every hash.
    /// </summary>
    internal const string KnownEmbeddings = """
        select wanted.hash from unnest($3) as wanted (hash)
        cross join lateral (select from chunk_embeddings where owner_id = $1 and model = $2 and content_hash = wanted.hash limit 1) known
        """;

    private const string SetStatus = """
        update documents set status = $3, progress = $4, updated_at = now() where id = $1 and version = $2 and status not in ('ready', 'failed')
        """;

    private const string Advance = """
        update documents set cursor_offset = $4, cursor_ordinal = $5, status = 'embedding', progress = $6, updated_at = now()
        where id = $1 and version = $2 and cursor_offset = $3 and status not in ('ready', 'failed')
        """;

    /// <summary>True in this transaction alone where <see cref="Advance"/> took place, or where an equal attempt came first.</summary>
    private const string StillThere = "exists (select from documents where id = $1 and version = $2 and cursor_offset >= $3 and status not in ('ready', 'failed'))";

    private const string InsertText = $"""
        insert into document_texts (document_id, version, start_offset, end_offset, owner_id, text)
        select $1, $2, starts, ends, $4, part from unnest($5, $6, $7) as parts (starts, ends, part)
        where {StillThere}
        on conflict do nothing
        """;

    private const string InsertEmbeddings = """
        insert into chunk_embeddings (owner_id, model, content_hash, vector)
        select $1, $2, hash, vector from unnest($3, $4) as computed (hash, vector)
        order by hash
        on conflict do nothing
        """;

    private const string InsertChunks = $"""
        insert into chunks (id, owner_id, document_id, document_version, ordinal, start_offset, end_offset, page, heading_path, text, content_hash)
        select id, $4, $1, $2, ordinal, starts, ends, nullif(page, 0), string_to_array(path, E'\x1f'), text, hash
        from unnest($5, $6, $7, $8, $9, $10, $11, $12) as made (id, ordinal, starts, ends, page, path, text, hash)
        where {StillThere}
        on conflict do nothing
        """;

    private const string IsThere = $"select {StillThere}";

    /// <summary>
    /// Of a document that has never been searched: from this commit on its passages are found. Index entries follow through the outbox; the worker of
    /// this ingestion writes them itself, so others leave them alone for a while.
    /// </summary>
    private const string Publish = """
        with live as (
            update documents set live_version = $2, status = 'indexing', progress = 0, title = $3::text, pages = $4::int, text_length = cursor_offset,
                chunk_count = cursor_ordinal, metadata = $5::jsonb || metadata, updated_at = now()
            where id = $1 and version = $2 and status not in ('ready', 'failed') and live_version is null
            returning id, owner_id),
        left_over as (
            insert into document_remains (owner_id, document_id, up_to_version) select owner_id, id, $2 - 1 from live where $2 > 1)
        insert into index_outbox (entity_id, owner_id, version, op, not_before)
        select c.id, c.owner_id, c.index_version, 'upsert', now() + interval '30 s' from chunks c join live on c.document_id = live.id
        where c.document_version = $2
        on conflict (entity_id) do update set version = excluded.version, op = excluded.op, attempts = 0, not_before = excluded.not_before
        """;

    /// <summary>From this commit on the index may hold the passages of a version that is not searched yet; one that was staged before and given up goes.</summary>
    private const string Stage = """
        with before as (select id, staged_version from documents where id = $1),
        staged as (
            update documents d set staged_version = $2, staged_title = $3::text, staged_pages = $4::int, staged_metadata = $5::jsonb, status = 'indexing', progress = 0,
                updated_at = now()
            from before where d.id = before.id and d.version = $2 and d.status not in ('ready', 'failed') and d.live_version <> $2 and d.staged_version is distinct from $2
            returning d.id, d.owner_id, before.staged_version as given_up)
        insert into document_remains (owner_id, document_id, from_version, up_to_version, was_searched, at_version)
        select owner_id, id, given_up, given_up, true, given_up from staged where given_up is not null
        """;

    /// <summary>
    /// The swap: from this commit on the staged passages, all of which the index has, are the document's, and the old ones are seen by nobody; they are
    /// taken away in steps.
    /// </summary>
    private const string Swap = """
        with live as (
            update documents set live_version = $2, staged_version = null, status = 'ready', progress = 1, title = staged_title, pages = staged_pages,
                text_length = cursor_offset, chunk_count = cursor_ordinal, metadata = staged_metadata || metadata, updated_at = now()
            where id = $1 and version = $2 and staged_version = $2 and status not in ('ready', 'failed')
            returning id, owner_id)
        insert into document_remains (owner_id, document_id, up_to_version, was_searched) select owner_id, id, $2 - 1, true from live
        """;

    private const string StagedPage = """
        select id, index_version, ordinal from chunks where document_id = $1 and document_version = $2 and ordinal > $4 and deleted_at is null order by ordinal limit $3
        """;

    private static readonly string TellStaged = $"""
        with parts as (select id as entity_id, ordinal / {IndexFollower.IdsPerMessage} as part from chunks where document_id = $1 and document_version = $2 and deleted_at is null)
        select pg_notify($3, $4 || string_agg({IndexFollower.EncodeSql}, '')) from parts group by part
        """;

    /// <summary>
    /// From the passage where the last page ended: the ones before it would be looked at again for each page. One look by key for each passage (as in
    /// <see cref="DocumentSearch.ReadHits"/>): planned while nothing waited for the index, a join reads the whole outbox for each.
    /// </summary>
    internal const string Unindexed = """
        select c.id, c.index_version, c.ordinal from chunks c
        cross join lateral (select from index_outbox where entity_id >= c.id and entity_id <= c.id order by entity_id limit 1) o
        where c.document_id = $1 and c.document_version = $2 and c.ordinal > $4 and c.deleted_at is null
        order by c.ordinal limit $3
        """;


    /// <summary>Tells the other processes in the same transaction: they may hold the owner where this one does not.</summary>
    private static readonly string AllIndexed = $"""
        with done as (
            delete from index_outbox o using chunks c where c.id = o.entity_id and c.document_id = $1 and c.document_version = $2 and o.version = c.index_version
            returning o.entity_id),
        parts as (select entity_id, row_number() over () / {IndexFollower.IdsPerMessage} as part from done)
        select pg_notify($3, $4 || string_agg({IndexFollower.EncodeSql}, '')) from parts group by part
        """;

    private const string Fail = """
        update documents set status = 'failed', failure_reason = $3, progress = 0, updated_at = now()
        where id = $1 and version = $2 and status not in ('ready', 'failed')
        """;

    /// <summary>Null: deleted, replaced, cancelled or done meanwhile.</summary>
    public Task<IngestJob?> BeginAsync(Guid ownerId, IngestInput input, CancellationToken ct) => database.ForOwner(ownerId).QuerySingleAsync(
        Begin,
        [input.DocumentId, input.Version],
        reader => new IngestJob
        {
            DocumentId = input.DocumentId,
            OwnerId = ownerId,
            Version = input.Version,
            Format = DocumentKinds.FormatOf(reader.GetString(0)),
            Name = reader.GetString(1),
            OriginalId = reader.GetGuid(2),
            Size = reader.GetInt64(3),
            CursorOffset = reader.GetInt32(4),
            IsPublished = reader.GetBoolean(5),
            IsReplacement = reader.GetBoolean(6),
            IsStaged = reader.GetBoolean(7),
            FetchedAs = reader.NullableString(8),
        },
        ct);

    /// <summary>Forgets what earlier attempts stored of this version: it was cut in another way than it would be now.</summary>
    public Task ResetAsync(IngestJob job, CancellationToken ct) =>
        database.ForOwner(job.OwnerId).CreateBatch().AllowFor(WholeDocument).Add(Reset, [job.DocumentId, job.Version]).ExecuteAsync(ct);

    public async Task<HashSet<string>> KnownEmbeddingsAsync(Guid ownerId, EmbeddingSpace space, byte[][] hashes, CancellationToken ct) =>
        [.. await database.ForOwner(ownerId).CreateBatch().ByIndex().Add(KnownEmbeddings, [ownerId, space.Model, hashes]).ReadAllAsync(reader => Convert.ToHexString((byte[])reader[0]), ct)];

    /// <returns>False: the document went away.</returns>
    public async Task<bool> SetStatusAsync(IngestJob job, string status, double progress, CancellationToken ct) =>
        await database.ForOwner(job.OwnerId).ExecuteAsync(SetStatus, [job.DocumentId, job.Version, status, (float)progress], ct) > 0;

    /// <summary>Stores a window with its chunks and embeddings, once, in one round trip. False: the document went away.</summary>
    public Task<bool> AddWindowAsync(IngestJob job, StagedWindow window, CancellationToken ct)
    {
        var chunks = window.Chunks;
        var parts = TextParts.Split(window.Text, window.Start);

        // A power cut may take the last windows back, together with the cursor that tells of them; publishing waits for the disk.
        var batch = database.ForOwner(job.OwnerId).CreateBatch().Relaxed();
        batch.Add(Advance, [job.DocumentId, job.Version, window.Start, window.End, window.NextOrdinal, (float)window.Progress]);
        batch.Add(InsertText, [
            job.DocumentId, job.Version, window.End, job.OwnerId,
            parts.Select(part => part.Start).ToArray(), parts.Select(part => part.Start + part.Text.Length).ToArray(), parts.Select(part => part.Text).ToArray(),
        ]);
        if (window.Embeddings.Count > 0)
        {
            batch.Add(InsertEmbeddings, [
                job.OwnerId, window.Model, window.Embeddings.Select(computed => computed.Hash).ToArray(),
                window.Embeddings.Select(computed => PassageEmbedder.ToBytes(computed.Vector)).ToArray(),
            ]);
        }

        batch.Add(InsertChunks, [
            job.DocumentId, job.Version, window.End, job.OwnerId, chunks.Select(chunk => chunk.Id).ToArray(), chunks.Select(chunk => chunk.Ordinal).ToArray(),
            chunks.Select(chunk => chunk.Start).ToArray(), chunks.Select(chunk => chunk.End).ToArray(), chunks.Select(chunk => chunk.Page ?? 0).ToArray(),
            chunks.Select(chunk => string.Join(PathSeparator, chunk.HeadingPath)).ToArray(), chunks.Select(chunk => chunk.Text).ToArray(),
            chunks.Select(chunk => chunk.ContentHash).ToArray(),
        ]);
        batch.Add(IsThere, [job.DocumentId, job.Version, window.End]);
        return batch.ReadAsync(async (reader, token) => await reader.ReadAsync(token) && reader.GetBoolean(0), ct);
    }

    public Task PublishAsync(IngestJob job, string? title, int? pages, string metadata, CancellationToken ct) =>
        database.ForOwner(job.OwnerId).CreateBatch().AllowFor(WholeDocument).Add(Publish, [job.DocumentId, job.Version, title, pages, metadata]).ExecuteAsync(ct);

    /// <summary>Commits everything that was stored of a replacement, so that the index may be given it; changes nothing after a cancellation.</summary>
    public Task StageAsync(IngestJob job, string? title, int? pages, string metadata, CancellationToken ct) =>
        database.ForOwner(job.OwnerId).CreateBatch().Add(Stage, [job.DocumentId, job.Version, title, pages, metadata]).ExecuteAsync(ct);

    /// <summary>Puts the staged version into the place of the old one; changes nothing after a cancellation.</summary>
    public Task SwapAsync(IngestJob job, CancellationToken ct) =>
        database.ForOwner(job.OwnerId).CreateBatch().Add(Swap, [job.DocumentId, job.Version]).ExecuteAsync(ct);

    /// <summary>The next passages of the staged version.</summary>
    /// <param name="after">Ordinal of the last one seen; -1 to begin.</param>
    public Task<List<UnindexedChunk>> StagedAsync(IngestJob job, int after, int limit, CancellationToken ct) =>
        database.ForOwner(job.OwnerId).CreateBatch().ByKey().Add(StagedPage, [job.DocumentId, job.Version, limit, after]).ReadAllAsync(
            reader => new UnindexedChunk(reader.GetGuid(0), reader.GetInt64(1), reader.GetInt32(2)), ct);

    /// <summary>Tells the other processes, which may hold the owner where this one does not.</summary>
    /// <param name="message">What a message of the passages' ids starts with.</param>
    public Task TellStagedAsync(IngestJob job, string message, CancellationToken ct) =>
        database.ForOwner(job.OwnerId).CreateBatch().AllowFor(WholeDocument).Add(TellStaged, [job.DocumentId, job.Version, database.Schema, message]).ExecuteAsync(ct);

    /// <summary>The next live passages of this version whose index entry is behind.</summary>
    /// <param name="after">Ordinal of the last one seen; -1 to begin.</param>
    public Task<List<UnindexedChunk>> UnindexedAsync(IngestJob job, int after, int limit, CancellationToken ct) =>
        database.ForOwner(job.OwnerId).CreateBatch().ByKey().Add(Unindexed, [job.DocumentId, job.Version, limit, after]).ReadAllAsync(
            reader => new UnindexedChunk(reader.GetGuid(0), reader.GetInt64(1), reader.GetInt32(2)), ct);

    public Task IndexedAsync(IngestJob job, IReadOnlyList<UnindexedChunk> done, CancellationToken ct) =>
        database.ForOwner(job.OwnerId).CreateBatch().ByIndex().Add(OutboxWorker.DoneSql, [done.Select(each => each.Id).ToArray(), done.Select(each => each.Version).ToArray()]).ExecuteAsync(ct);

    /// <summary>Where no index holds the owner, the next load reads the rows themselves.</summary>
    /// <param name="message">What a message of the passages' ids starts with.</param>
    public Task AllIndexedAsync(IngestJob job, string message, CancellationToken ct) =>
        database.ForOwner(job.OwnerId).CreateBatch().AllowFor(WholeDocument).Add(AllIndexed, [job.DocumentId, job.Version, database.Schema, message]).ExecuteAsync(ct);

    public Task FailAsync(Guid ownerId, IngestInput input, string reason, CancellationToken ct) =>
        database.ForOwner(ownerId).ExecuteAsync(Fail, [input.DocumentId, input.Version, reason], ct);
}

/// <summary>A passage whose index entry is behind.</summary>
internal sealed record UnindexedChunk(Guid Id, long Version, int Ordinal);

/// <summary>One window ready to be stored.</summary>
internal sealed record StagedWindow
{
    public required string Text { get; init; }

    /// <summary>UTF-16 offset into the stored text.</summary>
    public required int Start { get; init; }

    public required int NextOrdinal { get; init; }

    public required double Progress { get; init; }

    public required IReadOnlyList<NewChunk> Chunks { get; init; }

    public required string Model { get; init; }

    /// <summary>Those that were not there yet, each hash once.</summary>
    public required IReadOnlyList<(byte[] Hash, ReadOnlyMemory<float> Vector)> Embeddings { get; init; }

    public int End => Start + Text.Length;
}

/// <summary>The stored text is kept in parts that a reader's range touches few of.</summary>
internal static class TextParts
{
    private const int Size = 16 * 1024;

    public static IReadOnlyList<(int Start, string Text)> Split(string text, int offset)
    {
        var parts = new List<(int, string)>();
        for (var start = 0; start < text.Length;)
        {
            var end = Math.Min(text.Length, start + Size);
            if (end < text.Length && char.IsHighSurrogate(text[end - 1]))
                end--;
            parts.Add((offset + start, text[start..end]));
            start = end;
        }

        return parts;
    }
}
