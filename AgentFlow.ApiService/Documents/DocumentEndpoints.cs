using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Documents;

/// <summary>Uploading, listing, reading and deleting documents. Somebody else's document is one that does not exist.</summary>
internal static class DocumentEndpoints
{
    public static void MapDocuments(this IEndpointRouteBuilder routes)
    {
        var options = routes.ServiceProvider.GetRequiredService<IOptions<DocumentOptions>>().Value;
        var group = routes.MapGroup("/api/documents").WithTags("Documents").RequireAuthorization(Policies.Documents);
        group.MapPost("/", UploadAsync).WithName("UploadDocuments").WithSummary("Uploads files; they are searchable when their status is ready")
            .Uploads(options.MaxUploadBytes).WithIdempotency()
            .Accepts<IFormFileCollection>("multipart/form-data").ProducesProblem(400).ProducesProblem(413).ProducesProblem(415);
        group.MapGet("/", ListAsync).WithName("ListDocuments").WithSummary("The caller's documents, newest first");
        group.MapGet("/{id}", GetAsync).WithName("GetDocument").WithSummary("One document with its status and progress");
        group.MapDelete("/{id}", DeleteAsync).WithName("DeleteDocument").WithSummary("Deletes a document at any stage; it is not found by searches from now on");
        group.MapPost("/{id}/retry", RetryAsync).WithName("RetryDocument").WithSummary("Processes a document again");
        group.MapGet("/{id}/content", DocumentContent.GetAsync).WithName("GetDocumentContent").WithSummary("The original's bytes, as a download; takes Range and If-None-Match");
        group.MapGet("/{id}/text", GetTextAsync).WithName("GetDocumentText").WithSummary("A range of the stored text, which all offsets count in");
        group.MapGet("/{id}/chunks", GetChunksAsync).WithName("GetDocumentChunks").WithSummary("The passages of a document in their order");
        group.MapPost("/search", SearchAsync).WithName("SearchDocuments").WithSummary("Finds passages by meaning and by words")
            .RequireAuthorization(Policies.DocumentsRead);
    }

    private static async Task<Created<UploadResponse>> UploadAsync(HttpContext context, Caller caller, DocumentUpload upload, CancellationToken ct) =>
        TypedResults.Created((string?)null, await upload.ReceiveAsync(context, caller.Owner, ct));

    private static async Task<Ok<Page<DocumentSummary>>> ListAsync(
        Caller caller, DocumentStore store, CancellationToken ct, int limit = 50, string? cursor = null, DocumentStatus? status = null, string? tag = null, CollectionId? collection = null)
    {
        var listing = new DocumentListing(DocumentCursor.Decode(cursor), PageLimits.Page(limit), status?.ToString().ToLowerInvariant(), tag, collection);
        return TypedResults.Ok(await store.ListAsync(caller.Owner, listing, ct));
    }

    private static async Task<Results<Ok<DocumentSummary>, ProblemHttpResult>> GetAsync(string id, Caller caller, DocumentStore store, CancellationToken ct) =>
        DocumentId.TryParse(id, null, out var document) && await store.GetAsync(caller.Owner, document, ct) is { } found
            ? TypedResults.Ok(found)
            : Problem.NotFound("document");

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(string id, Caller caller, DocumentStore store, CancellationToken ct) =>
        DocumentId.TryParse(id, null, out var document) && await store.DeleteAsync(caller.Owner, document, ct)
            ? TypedResults.NoContent()
            : Problem.NotFound("document");

    private static async Task<Results<Accepted<DocumentSummary>, ProblemHttpResult>> RetryAsync(string id, Caller caller, DocumentStore store, CancellationToken ct) =>
        DocumentId.TryParse(id, null, out var document) && await store.RetryAsync(caller.Owner, document, ct) is { } task
            && await store.GetAsync(caller.Owner, document, ct) is { } found
            ? TypedResults.Accepted($"/api/tasks/{task}", found)
            : Problem.NotFound("document");

    private static async Task<Results<Ok<DocumentText>, ProblemHttpResult>> GetTextAsync(
        string id, Caller caller, DocumentTexts texts, CancellationToken ct, int start = 0, int? end = null)
    {
        if (start < 0 || end < start)
            return Problem.Invalid("start", "start is 0 or more and end is not before it.");
        var until = Math.Min(end ?? int.MaxValue, (int)Math.Min(int.MaxValue, start + (long)DocumentTexts.MaxRange));
        return DocumentId.TryParse(id, null, out var document) && await texts.ReadAsync(caller.Owner, document, start, until, ct) is { } text
            ? TypedResults.Ok(text)
            : Problem.NotFound("document");
    }

    private static async Task<Results<Ok<Page<DocumentChunk>>, ProblemHttpResult>> GetChunksAsync(
        string id, Caller caller, DocumentTexts texts, CancellationToken ct, int limit = 50, string? cursor = null) =>
        DocumentId.TryParse(id, null, out var document) && await texts.ChunksAsync(caller.Owner, document, ChunkCursor.Decode(cursor), PageLimits.Page(limit), ct) is { } page
            ? TypedResults.Ok(page)
            : Problem.NotFound("document");

    private static async Task<Ok<DocumentSearchResponse>> SearchAsync(DocumentSearchRequest request, Caller caller, DocumentSearch search, CancellationToken ct) =>
        TypedResults.Ok(await search.SearchAsync(caller.Owner, SearchRequests.Validate(request), ct));
}
