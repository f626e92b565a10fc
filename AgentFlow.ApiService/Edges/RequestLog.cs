using System.Diagnostics;

namespace AgentFlow.ApiService.Edges;

/// <summary>
/// One line a request: the route's template, not the address, since ids and words in addresses are content; the status and the time to
/// the end of the answer.
/// </summary>
internal sealed partial class RequestLog(RequestDelegate next, ILogger<RequestLog> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var started = Stopwatch.GetTimestamp();
        var answered = false;
        try
        {
            await next(context);
            answered = true;
        }
        finally
        {
            var route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "(no route)";
            var elapsedMs = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
            if (answered)
            {
                LogAnswered(context.Request.Method, route, context.Response.StatusCode, elapsedMs);
            }
            else
            {
                LogFailed(context.Request.Method, route, elapsedMs);
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Method} {Route} answered {Status} in {ElapsedMs:0.0} ms")]
    private partial void LogAnswered(string method, string route, int status, double elapsedMs);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Method} {Route} failed after {ElapsedMs:0.0} ms")]
    private partial void LogFailed(string method, string route, double elapsedMs);
}
