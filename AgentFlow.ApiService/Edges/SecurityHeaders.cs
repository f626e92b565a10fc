namespace AgentFlow.ApiService.Edges;

/// <summary>An API's answers are data: not to be sniffed, framed, rendered, kept or referred from. A route that is more sets its own.</summary>
internal sealed class SecurityHeaders(RequestDelegate next)
{
    public const string NothingRuns = "default-src 'none'; frame-ancestors 'none'; sandbox";

    public Task InvokeAsync(HttpContext context)
    {
        var headers = context.Response.Headers;
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers.ContentSecurityPolicy = NothingRuns;
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Resource-Policy"] = "same-site";
        headers.CacheControl = "no-store";
        return next(context);
    }
}
