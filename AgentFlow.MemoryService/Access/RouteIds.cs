using AgentFlow.MemoryService.Mem0;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Access;

/// <summary>
/// An id of our own API that is none names nothing: 404, as for any id that is not the caller's, and not the 400 that binding would answer. Mem0's
/// ids may be names. After authorization: strangers learn nothing of it.
/// </summary>
internal sealed class RouteIds(RequestDelegate next)
{
    public Task InvokeAsync(HttpContext context) =>
        context.Request.RouteValues.TryGetValue("id", out var id) && context.GetEndpoint()?.Metadata.GetMetadata<Mem0Route>() is null && !Guid.TryParseExact(id as string, "D", out _)
            ? Problem.WriteAsync(context, StatusCodes.Status404NotFound, "not_found", "There is nothing here.")
            : next(context);
}
