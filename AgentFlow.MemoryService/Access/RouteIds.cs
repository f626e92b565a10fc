using AgentFlow.MemoryService.Mem0;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Access;

/// <summary>
/// An id of our own API that is none names nothing: 404, as for any id that is not the caller's, and not the 400 that binding would answer. Mem0's
/// ids may be names. A parameter that is given twice is 400. After authorization: strangers learn nothing of it.
/// </summary>
internal sealed class RouteIds(RequestDelegate next)
{
    public Task InvokeAsync(HttpContext context)
    {
        if (context.GetEndpoint()?.Metadata.GetMetadata<Mem0Route>() is not null)
            return next(context);
        if (context.Request.RouteValues.TryGetValue("id", out var id) && !Guid.TryParseExact(id as string, "D", out _))
            return Problem.WriteAsync(context, StatusCodes.Status404NotFound, "not_found", "There is nothing here.");

        // Bound, two values become one with a comma: nobody's name.
        return context.Request.Query.FirstOrDefault(parameter => parameter.Value.Count > 1).Key is { } twice
            ? Problem.WriteAsync(context, StatusCodes.Status400BadRequest, "invalid_request", $"The parameter {twice} is given more than once.")
            : next(context);
    }
}
