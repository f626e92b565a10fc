using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Edges;

/// <summary>Sends HTTP on to HTTPS and tells browsers to stay there. Probes come from inside and stay as they are.</summary>
internal sealed class HttpsOnly(RequestDelegate next, IOptions<EdgeOptions> options)
{
    /// <summary>A year, as browsers' preload lists ask.</summary>
    private const string StrictTransport = "max-age=31536000; includeSubDomains";

    public Task InvokeAsync(HttpContext context)
    {
        var request = context.Request;
        if (request.IsHttps)
        {
            context.Response.Headers.StrictTransportSecurity = StrictTransport;
            return next(context);
        }

        if (request.Path == "/health" || request.Path == "/ready")
        {
            return next(context);
        }

        var port = options.Value.HttpsPort;
        var host = port == 443 ? new HostString(request.Host.Host) : new HostString(request.Host.Host, port);
        context.Response.StatusCode = StatusCodes.Status308PermanentRedirect;
        context.Response.Headers.Location = UriHelper.BuildAbsolute("https", host, request.PathBase, request.Path, request.QueryString);
        context.Response.ContentLength = 0;
        return Task.CompletedTask;
    }
}
