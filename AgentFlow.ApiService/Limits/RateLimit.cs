using System.Globalization;
using AgentFlow.ApiService.Edges;
using AgentFlow.ApiService.Identity;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Limits;

/// <summary>
/// Counts each request against its caller's bucket, or its address's when nobody is signed in. Says what is left in the fields of
/// draft-ietf-httpapi-ratelimit-headers-11: <c>RateLimit-Policy: "chat";q=30;w=60</c> and <c>RateLimit: "chat";r=29;t=2</c>.
/// </summary>
internal sealed partial class RateLimit(RequestDelegate next, CallerLimits limits, ILogger<RateLimit> logger)
{
    public async Task InvokeAsync(HttpContext context)
    {
        var kind = context.GetEndpoint()?.Metadata.GetMetadata<LimitedAs>()?.Kind ?? LimitKind.General;
        if (kind is LimitKind.None)
        {
            await next(context);
            return;
        }

        var caller = (context.User as CallerPrincipal)?.Caller;
        var (name, quota, partition) = limits.BucketOf(kind, caller, ClientAddress.Of(context));
        var state = quota.Take(partition);
        var policy = string.Create(CultureInfo.InvariantCulture, $"\"{name}\";q={quota.Permits};w={(int)quota.Window.TotalSeconds}");
        var left = string.Create(CultureInfo.InvariantCulture, $"\"{name}\";r={state.Remaining};t={Math.Ceiling((state.Remaining > 0 ? state.Reset : state.RetryAfter).TotalSeconds)}");

        // When the response begins: an error's answer starts over, and has taken as much.
        context.Response.OnStarting(() =>
        {
            context.Response.Headers["RateLimit-Policy"] = policy;
            context.Response.Headers["RateLimit"] = left;
            return Task.CompletedTask;
        });
        if (state.Taken)
        {
            await next(context);
            return;
        }

        LogRefused(context.Request.Method, context.Request.Path, name);
        await Problem.WriteAsync(
            context, StatusCodes.Status429TooManyRequests, "quota_exceeded", $"Too many requests: {quota.Permits} in {quota.Window.TotalSeconds:0} s are allowed.", state.RetryAfter);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Method} {Path} answered 429: the {Bucket} bucket is empty")]
    private partial void LogRefused(string method, string path, string bucket);
}
