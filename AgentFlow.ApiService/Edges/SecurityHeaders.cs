using Microsoft.Net.Http.Headers;

namespace AgentFlow.ApiService.Edges;

/// <summary>
/// An API's answers are data: not to be sniffed, framed, rendered, kept or referred from. A route that is more sets its own. Added when a
/// response begins: an error's answer starts over, and must carry them all the same.
/// </summary>
internal sealed class SecurityHeaders(RequestDelegate next)
{
    public const string NothingRuns = "default-src 'none'; frame-ancestors 'none'; sandbox";

    public Task InvokeAsync(HttpContext context)
    {
        context.Response.OnStarting(AddAsync, context.Response);
        return next(context);
    }

    private static Task AddAsync(object response)
    {
        var headers = ((HttpResponse)response).Headers;
        headers.TryAdd(HeaderNames.XContentTypeOptions, "nosniff");
        headers.TryAdd(HeaderNames.XFrameOptions, "DENY");
        headers.TryAdd(HeaderNames.ContentSecurityPolicy, NothingRuns);
        headers.TryAdd("Referrer-Policy", "no-referrer");
        headers.TryAdd("Cross-Origin-Resource-Policy", "same-site");
        headers.TryAdd(HeaderNames.CacheControl, "no-store");
        return Task.CompletedTask;
    }
}
