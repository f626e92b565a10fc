using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.MemoryService.Graph;

internal static class GraphEndpoints
{
    internal static void MapGraph(this IEndpointRouteBuilder routes) =>
        routes.MapGet("/api/graph", ReadAsync).RequireAuthorization(Policies.Read).WithTags("Graph").WithName("MemoryGraph")
            .WithSummary("Entities that memories name, and the relations they state").ProducesProblem(StatusCodes.Status400BadRequest);

    private static async Task<Ok<MemoryGraph>> ReadAsync(
        string? userId, string? agentId, string? sessionId, string? appId, string? entity, DateTimeOffset? asOf, int? limit, MemoryCaller caller,
        GraphReader graph, CancellationToken ct)
    {
        if (limit is < 1 or > 1_000)
            throw AddRequestRules.Invalid("limit", "limit is 1 to 1000.");
        var subject = new MemoryScope { UserId = userId, AgentId = agentId, SessionId = sessionId, AppId = appId };
        var filter = FilterExpression.AllOf(caller.Condition(), SubjectFilter.Of(subject));
        return TypedResults.Ok(await graph.ReadAsync(caller.OwnerId, filter, entity, asOf, limit ?? 200, ct));
    }
}
