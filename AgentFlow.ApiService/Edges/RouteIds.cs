using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Edges;

/// <summary>
/// An id that is none names nothing: 404, as for any id that is not the caller's, and not the 400 that binding would answer. Every
/// parameter called <c>id</c> or <c>...Id</c> is a UUID here. After authorization: strangers learn nothing of it.
/// </summary>
internal sealed class RouteIds(RequestDelegate next)
{
    public Task InvokeAsync(HttpContext context)
    {
        foreach (var (name, value) in context.Request.RouteValues)
        {
            if ((name == "id" || name.EndsWith("Id", StringComparison.Ordinal)) && name != "callId" && !Guid.TryParseExact(value as string, "D", out _))
            {
                return Problem.WriteAsync(context, StatusCodes.Status404NotFound, "not_found", "There is nothing here.");
            }
        }

        return next(context);
    }
}
