using AgentFlow.ApiService.Identity;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.ApiService.Documents;

/// <summary>Collections, what is in them, and who else may use them. A collection that the caller may not use does not exist.</summary>
internal static class CollectionEndpoints
{
    private const int MaxName = 100;
    private const int MaxDescription = 1_000;

    public static void Map(IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/collections").WithTags("Collections").RequireAuthorization(Policies.Documents).ProducesProblem(404);
        group.MapGet("/", ListAsync).WithName("ListCollections").WithSummary("The caller's collections and those shared with the caller, newest first").ProducesProblem(400);
        group.MapPost("/", CreateAsync).WithIdempotency().WithName("CreateCollection").WithSummary("Makes a named set of documents").ProducesProblem(400).ProducesProblem(409);
        group.MapDelete("/{id}", DeleteAsync).WithIdempotency().WithName("DeleteCollection").WithSummary("Deletes the set; its documents stay");
        group.MapPut("/{id}/documents/{documentId}", AddDocumentAsync).WithIdempotency().WithName("AddToCollection").WithSummary("Puts a document of the collection's owner into the collection");
        group.MapDelete("/{id}/documents/{documentId}", RemoveDocumentAsync).WithIdempotency().WithName("RemoveFromCollection").WithSummary("Takes a document out; it is not deleted");
        group.MapGet("/{id}/members", MembersAsync).WithName("ListCollectionMembers").WithSummary("Who else may use the collection");
        group.MapPost("/{id}/members", SetMemberAsync).WithIdempotency().WithName("ShareCollection").WithSummary("Lets an account use the collection, or changes what it may do").ProducesProblem(400);
        group.MapDelete("/{id}/members/{userId}", RemoveMemberAsync).WithIdempotency().WithName("UnshareCollection").WithSummary("Ends an account's use of the collection, at once");
    }

    private static async Task<Ok<Page<Collection>>> ListAsync(Caller caller, CollectionStore store, CancellationToken ct, int limit = 50, string? cursor = null) =>
        TypedResults.Ok(await store.ListAsync(caller.Owner, DocumentCursor.Decode(cursor), PageLimits.Page(limit), ct));

    private static async Task<Results<Created<Collection>, ProblemHttpResult>> CreateAsync(
        CreateCollectionRequest request, HttpContext context, Caller caller, CollectionStore store, CancellationToken ct)
    {
        if (string.IsNullOrWhiteSpace(request.Name) || request.Name.Length > MaxName)
            return Problem.Invalid("name", $"name has 1 to {MaxName} characters.");
        if (request.Description?.Length > MaxDescription)
            return Problem.Invalid("description", $"description has at most {MaxDescription} characters.");
        return await store.CreateAsync(caller.Owner, new CollectionId(IdempotencyKey.DeriveId(context)), request, ct) is { } created
            ? TypedResults.Created($"/api/collections/{created.Id}", created)
            : Problem.Result(StatusCodes.Status409Conflict, "name_taken", "There is a collection of this name already.");
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(string id, Caller caller, DocumentAccess access, CollectionStore store, CancellationToken ct)
    {
        if (await FindAsync(id, CollectionAccess.Manage, caller, access, ct) is not { } found)
            return Problem.NotFound("collection");
        await store.DeleteAsync(found.Owner, found.Id, ct);
        return TypedResults.NoContent();
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> AddDocumentAsync(
        string id, string documentId, Caller caller, DocumentAccess access, CollectionStore store, CancellationToken ct) =>
        await FindAsync(id, CollectionAccess.Write, caller, access, ct) is { } found && DocumentId.TryParse(documentId, null, out var document)
            && await store.AddDocumentAsync(found.Owner, found.Id, document, ct)
            ? TypedResults.NoContent()
            : Problem.NotFound("collection or document");

    private static async Task<Results<NoContent, ProblemHttpResult>> RemoveDocumentAsync(
        string id, string documentId, Caller caller, DocumentAccess access, CollectionStore store, CancellationToken ct) =>
        await FindAsync(id, CollectionAccess.Write, caller, access, ct) is { } found && DocumentId.TryParse(documentId, null, out var document)
            && await store.RemoveDocumentAsync(found.Owner, found.Id, document, ct)
            ? TypedResults.NoContent()
            : Problem.NotFound("collection or document");

    private static async Task<Results<Ok<Page<CollectionMember>>, ProblemHttpResult>> MembersAsync(
        string id, Caller caller, DocumentAccess access, CollectionStore store, CancellationToken ct) =>
        await FindAsync(id, CollectionAccess.Manage, caller, access, ct) is { } found
            ? TypedResults.Ok(new Page<CollectionMember>(await store.MembersAsync(found.Owner, found.Id, ct)))
            : Problem.NotFound("collection");

    private static async Task<Results<NoContent, ProblemHttpResult>> SetMemberAsync(
        string id, CollectionMemberRequest request, Caller caller, DocumentAccess access, CollectionStore store, CancellationToken ct)
    {
        if (await FindAsync(id, CollectionAccess.Manage, caller, access, ct) is not { } found)
            return Problem.NotFound("collection");
        if ((request.UserId is null) == (request.Email is null))
            return Problem.Invalid("userId", "Send either userId or email.");
        if (await store.FindAccountAsync(request.UserId, request.Email?.Trim().ToLowerInvariant(), ct) is not { } member)
            return Problem.NotFound("account");
        if (member == found.Owner)
            return Problem.Invalid(request.Email is null ? "userId" : "email", "The owner needs no grant.");
        return await store.SetMemberAsync(found.Owner, found.Id, member, request.Access, ct) ? TypedResults.NoContent() : Problem.NotFound("account");
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RemoveMemberAsync(
        string id, string userId, Caller caller, DocumentAccess access, CollectionStore store, CancellationToken ct)
    {
        // Members may leave by themselves.
        var least = OwnerId.TryParse(userId, null, out var member) && member == caller.Owner ? CollectionAccess.Read : CollectionAccess.Manage;
        return await FindAsync(id, least, caller, access, ct) is { } found && await store.RemoveMemberAsync(found.Owner, found.Id, member, ct)
            ? TypedResults.NoContent()
            : Problem.NotFound("collection or member");
    }

    private static async Task<(CollectionId Id, OwnerId Owner)?> FindAsync(
        string id, CollectionAccess least, Caller caller, DocumentAccess access, CancellationToken ct) =>
        CollectionId.TryParse(id, null, out var collection) && await access.OwnerOfCollectionAsync(caller.Owner, collection, least, ct) is { } owner
            ? (collection, owner)
            : null;
}
