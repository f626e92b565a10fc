namespace AgentFlow.Web.Edges;

/// <summary>
/// Turns circuits away once the Web has begun to stop. The stop closes the open ones, and their browsers come back within milliseconds;
/// a connection that is made then is closed by nobody and would hold the process until its time to stop runs out.
/// </summary>
internal sealed class StoppingGate(RequestDelegate next, IHostApplicationLifetime lifetime)
{
    private const string Circuits = "/_blazor";

    public Task InvokeAsync(HttpContext context)
    {
        if (!lifetime.ApplicationStopping.IsCancellationRequested || !context.Request.Path.StartsWithSegments(Circuits, StringComparison.Ordinal))
            return next(context);
        context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        return Task.CompletedTask;
    }
}
