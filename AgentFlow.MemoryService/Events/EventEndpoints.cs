using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.MemoryService.Events;

internal static class EventEndpoints
{
    internal static void MapEvents(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api/events").RequireAuthorization(Policies.Read).WithTags("Events");
        group.MapGet("/", FeedAsync).WithName("MemoryEvents").WithSummary("Every change, oldest first; the cursor of a page is kept and asked with again for what came after")
            .ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapGet("/{id:guid}", OperationAsync).WithName("MemoryOperation").WithSummary("How far an asynchronous add is, and what it stored");
    }

    private static async Task<Ok<Page<MemoryFeedEntry>>> FeedAsync(string? cursor, int? limit, MemoryCaller caller, EventReader events, CancellationToken ct)
    {
        if (limit is < 1 or > 1_000)
            throw AddRequestRules.Invalid("limit", "limit is 1 to 1000.");
        var after = cursor is null ? default : EventReader.FeedPosition.Parse(cursor) ?? throw AddRequestRules.Invalid("cursor", "The cursor is not one of ours.");
        var (rows, last) = await events.FeedAsync(caller, after, limit ?? 100, ct);
        return TypedResults.Ok(new Page<MemoryFeedEntry>([.. rows.Select(ToEntry)], last == default ? null : last.ToString()));
    }

    private static async Task<Results<Ok<MemoryOperation>, ProblemHttpResult>> OperationAsync(Guid id, MemoryCaller caller, EventReader events, CancellationToken ct) =>
        await events.OperationAsync(caller, id, ct) is { } operation ? TypedResults.Ok(operation) : Problem.NotFound("event");

    private static MemoryFeedEntry ToEntry(HistoryRow row) => new()
    {
        OperationId = row.OperationId,
        MemoryId = row.MemoryId,
        Version = row.Version,
        Event = row.Change,
        OldText = row.OldText,
        NewText = row.NewText,
        UserId = row.Scope.UserId,
        AgentId = row.Scope.AgentId,
        SessionId = row.Scope.SessionId,
        AppId = row.Scope.AppId,
        At = row.At,
    };
}
