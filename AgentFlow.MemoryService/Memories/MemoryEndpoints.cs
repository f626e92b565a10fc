using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Events;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Queue;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.MemoryService.Memories;

internal static class MemoryEndpoints
{
    internal static void MapMemories(this IEndpointRouteBuilder routes)
    {
        var reads = routes.MapGroup("/api/memories").RequireAuthorization(Policies.Read).WithTags("Memories");
        reads.MapGet("/", ListAsync).WithName("ListMemories").WithSummary("Memories, newest first, in pages").ProducesProblem(StatusCodes.Status400BadRequest);
        reads.MapGet("/{id}", GetAsync).WithName("GetMemory").WithSummary("One memory, also when it was superseded or has expired");
        reads.MapGet("/{id}/history", HistoryAsync).WithName("MemoryHistory").WithSummary("Everything that happened to a memory, oldest first, also after its deletion");

        var writes = routes.MapGroup("/api/memories").RequireAuthorization(Policies.Write).WithTags("Memories").ProducesProblem(StatusCodes.Status400BadRequest);
        writes.MapPost("/", AddAsync).WithIdempotency().WithName("AddMemories").WithSummary("Remembers what was said: as it is, or the facts in it")
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge).ProducesProblem(StatusCodes.Status502BadGateway);
        writes.MapPost("/batch", BatchAsync).WithIdempotency().WithName("BatchMemories").WithSummary("Adds, edits and deletes up to 1,000 memories; each entry has a result of its own");
        writes.MapPatch("/{id}", PatchAsync).WithIdempotency().WithName("EditMemory").WithSummary("Changes what is given; absent members stay");
        writes.MapDelete("/{id}", DeleteAsync).WithIdempotency().WithName("DeleteMemory").WithSummary("Deletes one memory");
        writes.MapDelete("/", DeleteSubjectAsync).WithIdempotency().WithName("DeleteMemories").WithSummary("Deletes every memory of a subject");
    }

    private static async Task<Results<Created<AddMemoryResponse>, Ok<AddMemoryResponse>, Accepted<PendingAddition>>> AddAsync(
        AddMemoryRequest request, MemoryCaller caller, MemoryIngestion ingestion, DurableQueue queue, HttpContext context, CancellationToken ct)
    {
        var operation = Operation.Of(context);
        if (request.Async)
        {
            ingestion.Check(caller, request);
            if (!operation.MayRepeat || await queue.GetAsync(caller.OwnerId, operation.Id, ct) is null)
                await queue.EnqueueAsync(AddMemoriesTask.Make(caller, request, operation.Id), ct);
            return TypedResults.Accepted($"/api/events/{operation.Id:D}", new PendingAddition(operation.Id, "pending"));
        }

        var response = await ingestion.AddAsync(caller, request, operation, ct);
        return request.DryRun ? TypedResults.Ok(response) : TypedResults.Created((string?)null, response);
    }

    private static async Task<Ok<Page<MemoryBatchResult>>> BatchAsync(
        MemoryBatch batch, MemoryCaller caller, MemoryBatches batches, HttpContext context, CancellationToken ct) =>
        TypedResults.Ok(new Page<MemoryBatchResult>(await batches.RunAsync(caller, batch, Operation.Of(context), ct)));

    private static async Task<Ok<Page<MemoryItem>>> ListAsync([AsParameters] ListingQuery query, MemoryCaller caller, MemoryReader reader, CancellationToken ct)
    {
        var listing = query.ToListing(caller);
        var rows = await reader.ListAsync(caller.OwnerId, listing with { Limit = listing.Limit + 1 }, ct);
        var page = rows.Take(listing.Limit).ToList();
        return TypedResults.Ok(new Page<MemoryItem>(
            [.. page.Select(row => row.ToItem())], rows.Count > listing.Limit ? SequenceCursor.Encode(page[^1].Sequence) : null));
    }

    private static async Task<Results<Ok<MemoryItem>, ProblemHttpResult>> GetAsync(MemoryId id, MemoryCaller caller, MemoryChanges memories, CancellationToken ct) =>
        await memories.FindAsync(caller, id, ct) is { Status: not MemoryStatus.Deleted } row ? TypedResults.Ok(row.ToItem()) : Problem.NotFound("memory");

    private static async Task<Results<Ok<Page<MemoryHistoryEntry>>, ProblemHttpResult>> HistoryAsync(
        MemoryId id, MemoryCaller caller, MemoryChanges memories, MemoryReader reader, CancellationToken ct) =>
        await memories.FindAsync(caller, id, ct) is null
            ? Problem.NotFound("memory")
            : TypedResults.Ok(new Page<MemoryHistoryEntry>([.. (await reader.HistoryAsync(caller.OwnerId, id, ct)).Select(row => row.ToEntry())]));

    private static async Task<Results<Ok<MemoryItem>, ProblemHttpResult>> PatchAsync(
        MemoryId id, MemoryPatch patch, MemoryCaller caller, MemoryChanges memories, HttpContext context, CancellationToken ct) =>
        await memories.PatchAsync(caller, id, patch, IdempotencyKey.DeriveId(context), ct) is { } row ? TypedResults.Ok(row.ToItem()) : Problem.NotFound("memory");

    private static async Task<Results<NoContent, ProblemHttpResult>> DeleteAsync(
        MemoryId id, MemoryCaller caller, MemoryChanges memories, HttpContext context, CancellationToken ct) =>
        await memories.DeleteAsync(caller, id, IdempotencyKey.DeriveId(context), ct) ? TypedResults.NoContent() : Problem.NotFound("memory");

    private static async Task<Ok<DeletedMemories>> DeleteSubjectAsync(
        string? userId, string? agentId, string? sessionId, string? appId, MemoryCaller caller, MemoryChanges memories, HttpContext context, CancellationToken ct)
    {
        var subject = caller.Bind(new MemoryScope { UserId = userId, AgentId = agentId, SessionId = sessionId, AppId = appId });
        AddRequestRules.CheckScope(subject);
        return TypedResults.Ok(new DeletedMemories(
            await memories.DeleteMatchingAsync(caller, SubjectFilter.Of(subject), IdempotencyKey.DeriveId(context), ct)));
    }
}
