using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.MemoryService.Review;

/// <summary>What was inferred and waits for somebody's word (<c>Memory:ReviewInferred</c>); until then it is not found by any search.</summary>
internal static class ReviewEndpoints
{
    internal static void MapReview(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/review").WithTags("Review");
        group.MapGet("/", ListAsync).RequireAuthorization(Policies.Read).WithName("ListReview").WithSummary("Memories that wait for review, newest first")
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapPost("/{id}", DecideAsync).RequireAuthorization(Policies.Write).WithIdempotency().WithName("DecideReview")
            .WithSummary("Approves a memory, as it is or edited, or rejects it").ProducesProblem(StatusCodes.Status400BadRequest);
    }

    private static async Task<Ok<Page<MemoryItem>>> ListAsync([AsParameters] ListingQuery query, MemoryCaller caller, MemoryReader reader, CancellationToken ct)
    {
        var listing = (query with { Pending = true }).ToListing(caller);
        var rows = await reader.ListAsync(caller.OwnerId, listing with { Limit = listing.Limit + 1 }, ct);
        var page = rows.Take(listing.Limit).ToList();
        return TypedResults.Ok(new Page<MemoryItem>([.. page.Select(row => row.ToItem())], rows.Count > listing.Limit ? SequenceCursor.Encode(page[^1].Sequence) : null));
    }

    private static async Task<Results<Ok<MemoryItem>, ProblemHttpResult>> DecideAsync(
        MemoryId id, ReviewDecision decision, MemoryCaller caller, MemoryChanges changes, HttpContext context, CancellationToken ct)
    {
        if (decision.Decision is not ("approve" or "reject"))
            throw AddRequestRules.Invalid("decision", "decision is approve or reject.");
        if (decision is { Decision: "reject", Text: not null })
            throw AddRequestRules.Invalid("text", "A rejected memory has no new text.");
        var decided = await changes.ReviewAsync(caller, id, decision.Decision == "approve", decision.Text, IdempotencyKey.DeriveId(context), ct);
        return decided is null ? Problem.NotFound("pending memory") : TypedResults.Ok(decided.ToItem());
    }
}
