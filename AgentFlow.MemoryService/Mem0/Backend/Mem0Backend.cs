using System.Globalization;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Events;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.MemoryService.Search;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.Retrieval.Filters;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.MemoryService.Mem0.Backend;

/// <summary>
/// Our API where <c>Memory:Backend</c> is mem0: the same routes and shapes, kept by Mem0. What has no counterpart there answers 501 with the code
/// <c>not_at_mem0</c>; so do Mem0's own routes, whose clients had better ask Mem0 itself.
/// </summary>
internal static class Mem0Backend
{
    private const int ContextCandidates = 200;

    internal static bool IsAskedFor(IConfiguration configuration) =>
        string.Equals(configuration[$"{MemoryOptions.Section}:{nameof(MemoryOptions.Backend)}"], nameof(MemoryBackend.Mem0), StringComparison.OrdinalIgnoreCase);

    internal static void AddMem0Backend(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton(Mem0BackendOptions.From(builder.Configuration)).AddSingleton<Mem0Api>().AddSingleton<Mem0Memories>().AddSingleton<Mem0Batches>();
        builder.Services.AddHttpClient(Mem0Api.ClientName, client => client.Timeout = Mem0Api.Timeout);
    }

    internal static void MapMem0Backend(this IEndpointRouteBuilder routes)
    {
        var reads = routes.MapGroup("/api").RequireAuthorization(Policies.Read).WithTags("Memories at Mem0");
        reads.MapGet("/memories", ListAsync).WithName("ListMemories").WithSummary("Memories, newest first, in pages");
        reads.MapGet("/memories/{id}", GetAsync).WithName("GetMemory").WithSummary("One memory");
        reads.MapGet("/memories/{id}/history", HistoryAsync).WithName("MemoryHistory").WithSummary("What happened to a memory");
        reads.MapPost("/memories/search", SearchAsync).WithName("SearchMemories").WithSummary("Finds memories");
        reads.MapGet("/events/{id:guid}", OperationAsync).WithName("MemoryOperation").WithSummary("How far an asynchronous add is, and what it stored");
        reads.MapPost("/context", ContextAsync).WithName("MemoryContext").WithSummary("The best memories as one block for a prompt");
        var writes = routes.MapGroup("/api/memories").RequireAuthorization(Policies.Write).WithTags("Memories at Mem0");
        writes.MapPost("/", AddAsync).WithIdempotency().WithName("AddMemories").WithSummary("Remembers what was said");
        writes.MapPost("/batch", BatchAsync).WithIdempotency().WithName("BatchMemories").WithSummary("Adds, edits and deletes up to 1,000 memories; each entry has a result of its own");
        writes.MapPatch("/{id}", PatchAsync).WithIdempotency().WithName("EditMemory").WithSummary("Changes what is given");
        writes.MapDelete("/{id}", DeleteAsync).WithIdempotency().WithName("DeleteMemory").WithSummary("Deletes one memory");
        writes.MapDelete("/", DeleteSubjectAsync).WithIdempotency().WithName("DeleteMemories").WithSummary("Deletes every memory of a subject");
        MapWhatIsNotThere(routes);
    }

    /// <summary>501 for something that Mem0's hosted API does not have.</summary>
    internal static ProblemException NotThere(string what) => new(
        StatusCodes.Status501NotImplemented, "not_at_mem0", $"{what} has no counterpart at Mem0's hosted API, where this service keeps its memories (Memory:Backend).");

    private static void MapWhatIsNotThere(IEndpointRouteBuilder routes)
    {
        string[] missing =
        [
            "/api/events/{**rest}", "/api/graph", "/api/review/{**rest}", "/api/export", "/api/import", "/api/subjects/erase",
            "/v1/{**rest}", "/v2/{**rest}", "/v3/{**rest}", "/memories/{**rest}", "/search", "/entities/{**rest}", "/reset", "/configure/{**rest}", "/generate-instructions",
        ];
        string[] methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
        foreach (var path in missing)
            routes.MapMethods(path, methods, (HttpContext context) => (IResult)Problem.Result(StatusCodes.Status501NotImplemented, "not_at_mem0", NotThere(context.Request.Path).Message))
                .RequireAuthorization(Policies.Read).ExcludeFromDescription();
    }

    private static async Task<Results<Created<AddMemoryResponse>, Accepted<PendingAddition>>> AddAsync(
        AddMemoryRequest request, MemoryCaller caller, Mem0Memories memories, DurableQueue queue, HttpContext context, CancellationToken ct)
    {
        if (!request.Async)
            return TypedResults.Created((string?)null, await memories.AddAsync(caller, request, ct));

        // Behind an event of our own, not Mem0's: theirs tells whoever has the account's key, whose memories it was about or not.
        memories.Check(caller, request);
        var operation = Operation.Of(context);
        if (!operation.MayRepeat || await queue.GetAsync(caller.OwnerId, operation.Id, ct) is null)
            await queue.EnqueueAsync(AddMemoriesTask.Make(caller, request, operation.Id), ct);
        return TypedResults.Accepted($"/api/events/{operation.Id:D}", new PendingAddition(operation.Id, "pending"));
    }

    private static async Task<Results<Ok<MemoryOperation>, ProblemHttpResult>> OperationAsync(Guid id, MemoryCaller caller, EventReader events, CancellationToken ct) =>
        await events.OperationAsync(caller, id, ct) is { } operation ? TypedResults.Ok(operation) : Problem.NotFound("event");

    private static async Task<Ok<Page<MemoryBatchResult>>> BatchAsync(MemoryBatch batch, MemoryCaller caller, Mem0Batches batches, CancellationToken ct) =>
        TypedResults.Ok(new Page<MemoryBatchResult>(await batches.RunAsync(caller, batch, ct)));

    private static async Task<Ok<SearchMemoriesResponse>> SearchAsync(SearchMemoriesRequest request, MemoryCaller caller, Mem0Memories memories, CancellationToken ct)
    {
        var found = await memories.SearchAsync(caller, MemorySearch.Check(caller, request), ct);
        return TypedResults.Ok(new SearchMemoriesResponse { Items = [.. found.Select(memory => memory.ToItem(request.Explain))] });
    }

    private static async Task<Ok<ContextBlock>> ContextAsync(ContextRequest request, MemoryCaller caller, Mem0Memories memories, CancellationToken ct)
    {
        MemorySearch.CheckQuery(request.Query);
        if (request.TokenBudget is < 16 or > 100_000)
            throw AddRequestRules.Invalid("tokenBudget", "tokenBudget is 16 to 100000.");
        var query = new MemoryQuery(request.Query, MemoryFilters.Bind(caller, request.Filter)) { TopK = Math.Clamp(request.TokenBudget / 8, 10, ContextCandidates) };
        return TypedResults.Ok(ContextAssembly.Assemble(await memories.SearchAsync(caller, query, ct), request.TokenBudget));
    }

    private static async Task<Ok<Page<MemoryItem>>> ListAsync([AsParameters] ListingQuery query, MemoryCaller caller, Mem0Memories memories, CancellationToken ct)
    {
        if (query is { AsOf: not null } or { KnownAt: not null } or { Superseded: true } or { Pending: true })
            throw NotThere("asOf, knownAt, superseded or pending");

        // The cursor is the number of the page that is to come.
        var page = query.Cursor is null ? 1 : SequenceCursor.Decode(query.Cursor) is > 0 and < 100_000 and var next ? (int)next : throw AddRequestRules.Invalid("cursor", "The cursor is not one of ours.");
        var listing = (query with { Cursor = null }).ToListing(caller);
        if (listing.Filter?.Binds(SubjectFilter.Columns) != true)
            throw new ProblemException(StatusCodes.Status400BadRequest, "no_scope", "Mem0 lists only by userId, agentId, sessionId or appId.");
        var (rows, hasMore, _) = await memories.ListAsync(caller, listing.Filter, listing.Expired, page, listing.Limit, ct);
        return TypedResults.Ok(new Page<MemoryItem>([.. rows.Select(row => row.ToItem())], hasMore ? SequenceCursor.Encode(page + 1) : null));
    }

    private static async Task<Results<Ok<MemoryItem>, ProblemHttpResult>> GetAsync(MemoryId id, MemoryCaller caller, Mem0Memories memories, CancellationToken ct) =>
        await memories.FindAsync(caller, id, ct) is { } row ? TypedResults.Ok(row.ToItem()) : Problem.NotFound("memory");

    private static async Task<Results<Ok<Page<MemoryHistoryEntry>>, ProblemHttpResult>> HistoryAsync(MemoryId id, MemoryCaller caller, Mem0Memories memories, CancellationToken ct) =>
        await memories.HistoryAsync(caller, id, ct) is { } history ? TypedResults.Ok(new Page<MemoryHistoryEntry>(history)) : Problem.NotFound("memory");

    private static async Task<Results<Ok<MemoryItem>, ProblemHttpResult>> PatchAsync(MemoryId id, MemoryPatch patch, MemoryCaller caller, Mem0Memories memories, CancellationToken ct) =>
        await memories.PatchAsync(caller, id, patch, ct) is { } row ? TypedResults.Ok(row.ToItem()) : Problem.NotFound("memory");

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(MemoryId id, MemoryCaller caller, Mem0Memories memories, CancellationToken ct) =>
        await memories.DeleteAsync(caller, id, ct) ? TypedResults.NoContent() : Problem.NotFound("memory");

    private static async Task<Ok<DeletedMemories>> DeleteSubjectAsync(
        string? userId, string? agentId, string? sessionId, string? appId, MemoryCaller caller, Mem0Memories memories, CancellationToken ct) =>
        TypedResults.Ok(new DeletedMemories(await memories.DeleteSubjectAsync(
            caller, new MemoryScope { UserId = userId, AgentId = agentId, SessionId = sessionId, AppId = appId }, ct)));
}
