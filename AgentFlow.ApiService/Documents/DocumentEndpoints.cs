using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Documents;

/// <summary>Uploading, listing, reading and deleting documents. Somebody else's document is one that does not exist.</summary>
internal static class DocumentEndpoints
{
    private static readonly string[] Statuses = [.. Enum.GetNames<DocumentStatus>().Select(name => name.ToLowerInvariant())];

    public static void MapDocuments(this IEndpointRouteBuilder routes)
    {
        var options = routes.ServiceProvider.GetRequiredService<IOptions<DocumentOptions>>().Value;
        var group = routes.MapGroup("/api/documents").WithTags("Documents").RequireAuthorization(Policies.Documents);
        group.MapPost("/", UploadAsync).WithName("UploadDocuments").WithSummary("Uploads files; they are searchable when their status is ready")
            .Uploads(options.MaxUploadBytes).WithIdempotency()
            .Accepts<IFormFileCollection>("multipart/form-data").ProducesProblem(400).ProducesProblem(404).ProducesProblem(413).ProducesProblem(415);
        group.MapGet("/", ListAsync).WithName("ListDocuments").WithSummary("The caller's documents, or those of one collection that the caller may use, newest first");
        group.MapGet("/{id}", GetAsync).WithName("GetDocument").WithSummary("One document with its status and progress");
        group.MapDelete("/{id}", DeleteAsync).WithIdempotency().WithName("DeleteDocument").WithSummary("Deletes a document at any stage; it is not found by searches from now on");
        group.MapPatch("/{id}", PatchAsync).WithIdempotency().WithName("PatchDocument").WithSummary("Changes a document's name, tags or metadata");
        group.MapPut("/{id}/content", ReplaceAsync).Uploads(options.MaxUploadBytes).WithIdempotency().WithName("ReplaceDocument").Accepts<IFormFile>("multipart/form-data")
            .WithSummary("Gives a document new content; the old one is found until the new one is ready").ProducesProblem(409);
        group.MapPost("/{id}/cancel", CancelAsync).WithIdempotency().WithName("CancelDocument").WithSummary("Stops the processing of a document; no error when it has ended");
        group.MapPost("/url", IngestUrlAsync).LimitAs(LimitKind.Upload).WithIdempotency().WithName("IngestUrl").WithSummary("Fetches one public page and keeps it as a document")
            .ProducesProblem(400).ProducesProblem(403).ProducesProblem(415).ProducesProblem(422);
        group.MapPost("/{id}/retry", RetryAsync).WithIdempotency().WithName("RetryDocument").WithSummary("Processes a document again");
        group.MapGet("/{id}/content", DocumentContent.GetAsync).WithName("GetDocumentContent").WithSummary("The original's bytes, as a download; takes Range, If-None-Match and If-Match");
        group.MapGet("/{id}/text", GetTextAsync).WithName("GetDocumentText").WithSummary("A range of the stored text, which all offsets count in");
        group.MapGet("/{id}/chunks", GetChunksAsync).WithName("GetDocumentChunks").WithSummary("The passages of a document in their order");
        group.MapPost("/search", SearchAsync).WithName("SearchDocuments").WithSummary("Finds passages by meaning and by words")
            .RequireAuthorization(Policies.DocumentsRead);
        CollectionEndpoints.Map(routes);
    }

    private static async Task<Created<UploadResponse>> UploadAsync(HttpContext context, Caller caller, DocumentUpload upload, CancellationToken ct) =>
        TypedResults.Created((string?)null, await upload.ReceiveAsync(context, caller.Owner, ct));

    private static async Task<Ok<Page<DocumentSummary>>> ListAsync(
        Caller caller, DocumentStore store, DocumentAccess access, CancellationToken ct, int limit = 50, string? cursor = null, string? status = null, string? tag = null, CollectionId? collection = null)
    {
        if (status is not null && !Statuses.Contains(status))
            throw Refusals.Invalid("status", $"status is one of {string.Join(", ", Statuses)}.");
        var listing = new DocumentListing(DocumentCursor.Decode(cursor), PageLimits.Page(limit), status, tag, collection);

        // A shared collection is read as its owner's; one that the caller may not use holds nothing.
        var owner = collection is { } shared ? await access.OwnerOfCollectionAsync(caller.Owner, shared, CollectionAccess.Read, ct) : caller.Owner;
        var page = owner is { } reader ? await store.ListAsync(reader, listing, ct) : new Page<DocumentSummary>([]);
        return TypedResults.Ok(owner == caller.Owner ? page : page with { Items = [.. page.Items.Select(document => document with { TaskId = null })] });
    }

    private static async Task<Results<Ok<DocumentSummary>, ProblemHttpResult>> GetAsync(
        string id, Caller caller, DocumentAccess access, DocumentStore store, CancellationToken ct) =>
        await access.OwnerOfAsync(caller.Owner, id, ct) is { } owner && await store.GetAsync(owner, DocumentId.Parse(id, null), ct) is { } found
            ? TypedResults.Ok(For(caller, owner, found))
            : Problem.NotFound("document");

    private static async Task<Results<Ok<DocumentSummary>, ProblemHttpResult>> PatchAsync(
        string id, PatchDocumentRequest request, Caller caller, DocumentAccess access, DocumentStore store, OutboxWorker outbox, CancellationToken ct)
    {
        var patch = DocumentPatches.Validate(request);
        if (await access.ChangerOfAsync(caller.Owner, id, ct) is not { } owner || !await store.PatchAsync(owner, DocumentId.Parse(id, null), patch, ct))
            return Problem.NotFound("document");
        outbox.Wake();
        return await store.GetAsync(owner, DocumentId.Parse(id, null), ct) is { } found ? TypedResults.Ok(For(caller, owner, found)) : Problem.NotFound("document");
    }

    private static async Task<Results<Accepted<UploadedDocument>, ProblemHttpResult>> ReplaceAsync(
        string id, HttpContext context, Caller caller, DocumentAccess access, DocumentUpload upload, CancellationToken ct) =>
        await access.ChangerOfAsync(caller.Owner, id, ct) is { } owner && await upload.ReplaceAsync(context, owner, DocumentId.Parse(id, null), ct) is { } replaced
            ? owner == caller.Owner ? TypedResults.Accepted($"/api/tasks/{replaced.TaskId}", replaced) : TypedResults.Accepted($"/api/documents/{id}", replaced with { TaskId = null })
            : Problem.NotFound("document");

    private static async Task<Results<Ok<DocumentSummary>, ProblemHttpResult>> CancelAsync(
        string id, Caller caller, DocumentAccess access, DocumentStore store, CancellationToken ct) =>
        await access.ChangerOfAsync(caller.Owner, id, ct) is { } owner && await store.CancelAsync(owner, DocumentId.Parse(id, null), ct)
            && await store.GetAsync(owner, DocumentId.Parse(id, null), ct) is { } found
            ? TypedResults.Ok(For(caller, owner, found))
            : Problem.NotFound("document");

    private static async Task<Created<UploadResponse>> IngestUrlAsync(IngestUrlRequest request, Caller caller, UrlIngestion urls, CancellationToken ct) =>
        TypedResults.Created((string?)null, await urls.ReceiveAsync(caller.Owner, request, ct));

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(
        string id, Caller caller, DocumentAccess access, DocumentStore store, CancellationToken ct) =>
        await access.ChangerOfAsync(caller.Owner, id, ct) is { } owner && await store.DeleteAsync(owner, DocumentId.Parse(id, null), ct)
            ? TypedResults.NoContent()
            : Problem.NotFound("document");

    private static async Task<Results<Accepted<DocumentSummary>, ProblemHttpResult>> RetryAsync(
        string id, Caller caller, DocumentAccess access, DocumentStore store, CancellationToken ct) =>
        await access.ChangerOfAsync(caller.Owner, id, ct) is { } owner && await store.RetryAsync(owner, DocumentId.Parse(id, null), ct) is { } task
            && await store.GetAsync(owner, DocumentId.Parse(id, null), ct) is { } found
            ? TypedResults.Accepted(owner == caller.Owner ? $"/api/tasks/{task}" : $"/api/documents/{id}", For(caller, owner, found))
            : Problem.NotFound("document");

    private static async Task<Results<Ok<DocumentText>, ProblemHttpResult>> GetTextAsync(
        string id, Caller caller, DocumentAccess access, DocumentTexts texts, CancellationToken ct, int start = 0, int? end = null)
    {
        if (start < 0 || end < start)
            return Problem.Invalid("start", "start is 0 or more and end is not before it.");
        var until = Math.Min(end ?? int.MaxValue, (int)Math.Min(int.MaxValue, start + (long)DocumentTexts.MaxRange));
        return await access.OwnerOfAsync(caller.Owner, id, ct) is { } owner && await texts.ReadAsync(owner, DocumentId.Parse(id, null), start, until, ct) is { } text
            ? TypedResults.Ok(text)
            : Problem.NotFound("document");
    }

    private static async Task<Results<Ok<Page<DocumentChunk>>, ProblemHttpResult>> GetChunksAsync(
        string id, Caller caller, DocumentAccess access, DocumentTexts texts, CancellationToken ct, int limit = 50, string? cursor = null) =>
        await access.OwnerOfAsync(caller.Owner, id, ct) is { } owner
            && await texts.ChunksAsync(owner, DocumentId.Parse(id, null), ChunkCursor.Decode(cursor), PageLimits.Page(limit), ct) is { } page
            ? TypedResults.Ok(page)
            : Problem.NotFound("document");

    /// <summary>A task is shown to its owner alone.</summary>
    private static DocumentSummary For(Caller caller, OwnerId owner, DocumentSummary document) => owner == caller.Owner ? document : document with { TaskId = null };

    private static async Task<Ok<DocumentSearchResponse>> SearchAsync(DocumentSearchRequest request, Caller caller, DocumentSearch search, CancellationToken ct) =>
        TypedResults.Ok(await search.SearchAsync(caller.Owner, SearchRequests.Validate(request), ct));
}
