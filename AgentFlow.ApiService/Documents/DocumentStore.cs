using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Queue;
using Npgsql;

namespace AgentFlow.ApiService.Documents;

/// <summary>What a new document is created from.</summary>
internal sealed record NewDocument
{
    public required string Name { get; init; }

    public required DocumentKind Kind { get; init; }

    public required StoredOriginal Original { get; init; }

    public IReadOnlyList<string> Tags { get; init; } = [];

    /// <summary>A JSON object.</summary>
    public JsonElement? Metadata { get; init; }

    public string? SourceUrl { get; init; }

    /// <summary>The charset that the server of a fetched page named, empty when it named none; null for an upload.</summary>
    public string? FetchedAs { get; init; }
}

/// <summary>The documents of an owner. Everything here is bound to the owner by row-level security as well.</summary>
internal sealed class DocumentStore(Database database, DurableQueue queue, DocumentFollowUp followUp)
{
    private const string Columns =
        "d.id, d.name, d.media_type, d.size, d.status, d.failure_reason, d.title, d.pages, d.chunk_count, d.progress, d.tags, d.task_id, d.created_at, d.updated_at, d.uploaded_by, d.cursor_ordinal";

    private const string Insert = """
        insert into documents (id, owner_id, name, media_type, format, size, content_hash, original_id, tags, metadata, source_url, task_id, uploaded_by, upload_hash, fetched_as)
        select $1, $2, $3, $4, $5, $6, case when $13::uuid is null then $7 else sha256($7 || uuid_send($1)) end, $8, $9, $10::jsonb, $11::text, $12, $13::uuid,
            case when $13::uuid is not null then $7 end, $14::text
        on conflict (owner_id, content_hash) do nothing
        returning id
        """;

    private const string Attach = "update document_originals set attached = true where id = $1";

    private const string SelectSame = $"select {Columns} from documents d where d.content_hash = $1 for update";

    /// <summary>The same content in a collection; nothing outside it is looked at, so that a member learns of nothing else.</summary>
    private const string SelectSameInside = $"""
        select {Columns} from documents d join collection_documents c on c.document_id = d.id and c.collection_id = $2
        where d.content_hash = $1 or d.upload_hash = $1
        order by d.created_at limit 1
        for update of d
        """;

    /// <summary>A collection that the upload may go into; a member's uploads into it wait for each other, so that the same content is seen.</summary>
    private const string LockCollection = """
        select true from collections c where c.id = $1 and c.owner_id = $2 and ($3::uuid is null or exists (
            select from collection_members m where m.collection_id = c.id and m.member_id = $3 and m.access in ('write', 'manage') for share))
        for no key update of c
        """;

    private const string Discard = "insert into document_remains (owner_id, original_id) values ($1, $2)";

    private const string SelectOne = $"select {Columns} from documents d where d.id = $1";

    private const string SelectPage = $"""
        select {Columns} from documents d
        where d.owner_id = $1 and ($2::timestamptz is null or (d.created_at, d.id) < ($2, $3::uuid))
            and ($4::text is null or d.status = $4) and ($5::text is null or $5 = any (d.tags))
            and ($6::uuid is null or exists (select from collection_documents c where c.document_id = d.id and c.collection_id = $6))
        order by d.created_at desc, d.id desc
        limit $7
        """;

    private const string Renew = """
        update documents set version = version + 1, status = 'received', failure_reason = null, progress = 0,
            cursor_offset = 0, cursor_ordinal = 0, task_id = $2, updated_at = now()
        where id = $1
        returning version
        """;

    private const string SelectTask = "select task_id from documents where id = $1";

    /// <summary>Where the passages are found already, nothing is left to be stopped: the outbox brings them to the index.</summary>
    private const string Cancel = """
        update documents set updated_at = now(),
            status = case when live_version = version then 'ready' else 'failed' end,
            failure_reason = case when live_version = version then null else 'It was cancelled.' end,
            progress = case when live_version = version then 1 else 0 end
        where id = $1 and status not in ('ready', 'failed')
        """;

    /// <summary>The old original goes with its last reader: the row that named it.</summary>
    private const string Replace = """
        with left_over as (insert into document_remains (owner_id, original_id) select owner_id, original_id from documents where id = $1)
        update documents set version = version + 1, status = 'received', failure_reason = null, progress = 0, cursor_offset = 0, cursor_ordinal = 0,
            name = $2, media_type = $3, format = $4, size = $5,
            content_hash = case when uploaded_by is null then $6 else sha256($6 || uuid_send(id)) end, upload_hash = case when uploaded_by is not null then $6 end,
            original_id = $7, task_id = $8, fetched_as = null, updated_at = now()
        where id = $1
        returning version
        """;

    private const string Patch = """
        update documents set name = coalesce($2::text, name), tags = coalesce($3::text[], tags), metadata = coalesce($4::jsonb, metadata), updated_at = now()
        where id = $1
        """;

    private const string AddToCollection = """
        insert into collection_documents (collection_id, document_id, owner_id) select id, $2, owner_id from collections where id = $1 and owner_id = $3
        on conflict do nothing
        """;

    /// <summary>With its row everything of it is out of sight; what is left is taken away in steps.</summary>
    private const string DeleteOne = """
        with gone as (delete from documents where id = $1 returning owner_id, original_id, task_id, live_version),
        left_over as (
            insert into document_remains (owner_id, document_id, up_to_version, was_searched, original_id)
            select owner_id, $1, 2147483647, live_version is not null, original_id from gone)
        select task_id from gone
        """;

    /// <summary>
    /// Keeps a new document and queues its ingestion, in one transaction. The same content a second time is the document that is there;
    /// it is tried again when it had failed. What a member uploads is compared with what the collection holds, and with nothing else.
    /// </summary>
    /// <exception cref="ProblemException">404: the collection, or the grant on it, is not there any more.</exception>
    public async Task<UploadedDocument> AddAsync(UploadTarget target, NewDocument document, CancellationToken ct)
    {
        var owner = target.Owner;
        var id = DocumentId.New();
        var task = IngestInput.Task(owner, id, version: 1);
        await using var session = await database.ForOwner(owner.Value).BeginAsync(ct);
        if (target.Collection is { } into)
            await LockAsync(session, target, into, ct);
        var same = target.Member is null ? null : await session.QuerySingleAsync(SelectSameInside, [document.Original.ContentHash, target.Collection!.Value.Value], ReadSummary, ct);
        var inserted = same is not null ? [] : await session.QueryAsync(
            Insert,
            [
                id.Value, owner.Value, document.Name, document.Kind.MediaType, DocumentKinds.NameOf(document.Kind.Format), document.Original.Size,
                document.Original.ContentHash, document.Original.Id, document.Tags.ToArray(), document.Metadata?.GetRawText() ?? "{}", document.SourceUrl, task.Id, target.Member?.Value,
                document.FetchedAs,
            ],
            reader => reader.GetGuid(0),
            ct);
        UploadedDocument result;
        if (inserted.Count == 0)
        {
            same ??= await session.QuerySingleAsync(SelectSame, [document.Original.ContentHash], ReadSummary, ct)
                ?? throw new InvalidOperationException("The document with the same content was deleted at this moment.");
            result = await ReuseAsync(session, owner, document, same, ct);
        }
        else
        {
            await session.ExecuteAsync(Attach, [document.Original.Id], ct);
            await queue.EnqueueAsync(session, task, ct);
            result = new UploadedDocument { Id = id, Name = document.Name, Status = DocumentStatus.Received, TaskId = new TaskId(task.Id) };
        }

        if (target.Collection is { } collection && await session.ExecuteAsync(AddToCollection, [collection.Value, result.Id!.Value.Value, owner.Value], ct) > 0)
            await session.ExecuteAsync(CollectionStore.TouchDocument, [result.Id!.Value.Value], ct);
        await session.CommitAsync(ct);
        followUp.Wake();

        // The task is its owner's.
        return target.Member is null ? result : result with { TaskId = null };
    }

    public async Task<DocumentSummary?> GetAsync(OwnerId owner, DocumentId id, CancellationToken ct) =>
        await database.ForOwner(owner.Value).QuerySingleAsync(SelectOne, [id.Value], ReadSummary, ct) is { } found ? (await NamedAsync([found], ct))[0] : null;

    public async Task<Page<DocumentSummary>> ListAsync(OwnerId owner, DocumentListing listing, CancellationToken ct)
    {
        var items = await database.ForOwner(owner.Value).QueryAsync(
            SelectPage,
            [owner.Value, listing.After?.CreatedAt, listing.After?.Id, listing.Status, listing.Tag, listing.Collection?.Value, listing.Limit + 1],
            ReadSummary,
            ct);
        items = await NamedAsync(items, ct);
        if (items.Count <= listing.Limit)
            return new Page<DocumentSummary>(items);
        items.RemoveAt(items.Count - 1);
        return new Page<DocumentSummary>(items, new DocumentCursor(items[^1].CreatedAt, items[^1].Id.Value).Encode());
    }

    /// <summary>Starts the ingestion anew; the version that is searchable stays so until the new one is ready. Null: no such document.</summary>
    public async Task<TaskId?> RetryAsync(OwnerId owner, DocumentId id, CancellationToken ct, short priority = 0)
    {
        await using var session = await database.ForOwner(owner.Value).BeginAsync(ct);
        var task = await RenewAsync(session, owner, id, ct, priority);
        await session.CommitAsync(ct);
        return task;
    }

    /// <summary>Stops the processing; what was searchable before stays so. False: there is no such document.</summary>
    public async Task<bool> CancelAsync(OwnerId owner, DocumentId id, CancellationToken ct)
    {
        var found = await database.ForOwner(owner.Value).QueryAsync(SelectTask, [id.Value], row => row.NullableGuid(0), ct);
        if (found.Count == 0)
            return false;
        await database.ForOwner(owner.Value).ExecuteAsync(Cancel, [id.Value], ct);
        if (found[0] is { } task)
            await queue.CancelAsync(owner.Value, task, ct);
        return true;
    }

    /// <summary>Gives a document new content; the old version is found until the new one is ready. Null: no such document.</summary>
    /// <exception cref="ProblemException">409: another document has this very content.</exception>
    public async Task<UploadedDocument?> ReplaceAsync(OwnerId owner, DocumentId id, NewDocument content, CancellationToken ct)
    {
        var taskId = Guid.CreateVersion7();
        await using var session = await database.ForOwner(owner.Value).BeginAsync(ct);
        try
        {
            var versions = await session.QueryAsync(
                Replace,
                [
                    id.Value, content.Name, content.Kind.MediaType, DocumentKinds.NameOf(content.Kind.Format), content.Original.Size, content.Original.ContentHash,
                    content.Original.Id, taskId,
                ],
                reader => reader.GetInt32(0),
                ct);
            if (versions.Count == 0)
                return null;
            await session.ExecuteAsync(Attach, [content.Original.Id], ct);
            await queue.EnqueueAsync(session, IngestInput.Task(owner, id, versions[0]) with { Id = taskId }, ct);
            await session.CommitAsync(ct);
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            throw new ProblemException(StatusCodes.Status409Conflict, "same_content", "Another of your documents has this very content.");
        }

        followUp.Wake();
        return new UploadedDocument { Id = id, Name = content.Name, Status = DocumentStatus.Received, TaskId = new TaskId(taskId) };
    }

    /// <summary>Changes what is told about a document; its passages are indexed anew, since filters see it.</summary>
    public async Task<bool> PatchAsync(OwnerId owner, DocumentId id, PatchDocumentRequest patch, CancellationToken ct)
    {
        var batch = database.ForOwner(owner.Value).CreateBatch();
        batch.Add(Patch, [id.Value, patch.Name, patch.Tags?.ToArray(), patch.Metadata?.GetRawText()]);
        batch.Add(CollectionStore.TouchDocument, [id.Value]);
        batch.Add(SelectTask, [id.Value]);
        var isThere = await batch.ReadAsync(async (reader, token) => await reader.ReadAsync(token), ct);
        followUp.Wake();
        return isThere;
    }

    /// <summary>Acknowledged as soon as nothing of the document can be seen any more, whatever its size.</summary>
    /// <returns>False: there was no such document.</returns>
    public async Task<bool> DeleteAsync(OwnerId owner, DocumentId id, CancellationToken ct)
    {
        var gone = await database.ForOwner(owner.Value).QueryAsync(DeleteOne, [id.Value], reader => reader.NullableGuid(0), ct);
        if (gone.Count == 0)
            return false;
        if (gone[0] is { } task)
            await queue.CancelAsync(owner.Value, task, ct);
        await followUp.BeginAsync(id, ct);
        return true;
    }

    internal static DocumentSummary ReadSummary(NpgsqlDataReader reader)
    {
        var summary = ReadStored(reader);
        return summary.Status is DocumentStatus.Ready or DocumentStatus.Failed ? summary : summary with { ChunksSoFar = reader.GetInt32(15) };
    }

    private static DocumentSummary ReadStored(NpgsqlDataReader reader) => new()
    {
        Id = new DocumentId(reader.GetGuid(0)),
        Name = reader.GetString(1),
        MediaType = reader.GetString(2),
        Size = reader.GetInt64(3),
        Status = Enum.Parse<DocumentStatus>(reader.GetString(4), ignoreCase: true),
        FailureReason = reader.NullableString(5),
        Title = reader.NullableString(6),
        Pages = reader.NullableInt32(7),
        Chunks = reader.GetInt32(8),
        Progress = Math.Round(reader.GetFloat(9), 3),
        Tags = (string[])reader[10],
        TaskId = reader.NullableGuid(11) is { } task ? new TaskId(task) : null,
        CreatedAt = reader.Time(12),
        UpdatedAt = reader.Time(13),
        UploadedBy = reader.NullableGuid(14) is { } member ? new DocumentUploader(new OwnerId(member)) : null,
    };

    /// <summary>With the names of the members who uploaded some of them: one round trip more, where there are such.</summary>
    private async Task<List<DocumentSummary>> NamedAsync(List<DocumentSummary> documents, CancellationToken ct)
    {
        var members = documents.Select(document => document.UploadedBy?.UserId.Value).OfType<Guid>().Distinct().ToArray();
        if (members.Length == 0)
            return documents;
        var names = await database.AsWorker().QueryAsync(
            "select owner_id, display_name from users where owner_id = any ($1)", [members], row => (Id: row.GetGuid(0), Name: row.GetString(1)), ct);
        var named = names.ToDictionary(account => account.Id, account => account.Name);
        return documents.ConvertAll(document => document.UploadedBy is { } member
            ? document with { UploadedBy = member with { DisplayName = named.GetValueOrDefault(member.UserId.Value) } }
            : document);
    }

    /// <exception cref="ProblemException">404: no such collection, or no grant on it that allows to write.</exception>
    private static async Task LockAsync(DbSession session, UploadTarget target, CollectionId collection, CancellationToken ct)
    {
        var known = await session.QueryAsync(LockCollection, [collection.Value, target.Owner.Value, target.Member?.Value], reader => reader.GetBoolean(0), ct);
        if (known.Count == 0)
            throw UploadTarget.NoSuchCollection();
    }

    private async Task<UploadedDocument> ReuseAsync(DbSession session, OwnerId owner, NewDocument document, DocumentSummary same, CancellationToken ct)
    {
        await session.ExecuteAsync(Discard, [owner.Value, document.Original.Id], ct);
        var task = same.TaskId;
        var status = same.Status;
        if (status == DocumentStatus.Failed)
        {
            task = await RenewAsync(session, owner, same.Id, ct);
            status = DocumentStatus.Received;
        }

        return new UploadedDocument { Id = same.Id, Name = same.Name, Status = status, TaskId = task, Duplicate = true };
    }

    private async Task<TaskId?> RenewAsync(DbSession session, OwnerId owner, DocumentId id, CancellationToken ct, short priority = 0)
    {
        var taskId = Guid.CreateVersion7();
        var versions = await session.QueryAsync(Renew, [id.Value, taskId], reader => reader.GetInt32(0), ct);
        if (versions.Count == 0)
            return null;
        await queue.EnqueueAsync(session, IngestInput.Task(owner, id, versions[0]) with { Id = taskId, Priority = priority }, ct);
        return new TaskId(taskId);
    }
}

/// <param name="After">The last row of the page before.</param>
/// <param name="Limit">1 to 200.</param>
internal sealed record DocumentListing(DocumentCursor? After, int Limit, string? Status = null, string? Tag = null, CollectionId? Collection = null);
