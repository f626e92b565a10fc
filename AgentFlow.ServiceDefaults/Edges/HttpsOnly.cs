using AgentFlow.ServiceDefaults.Tokens;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentFlow.ServiceDefaults.Edges;

/// <summary>
/// Sends HTTP on to HTTPS and tells browsers to stay there. Probes come from inside and stay as they are, and so do our own services,
/// which show a token that only they can sign: between them is a private network, and a redirect would lead them out of it.
/// </summary>
public sealed class HttpsOnly(RequestDelegate next, IOptions<EdgeOptions> options, IServiceProvider services)
{
    /// <summary>A year, as browsers' preload lists ask.</summary>
    private const string StrictTransport = "max-age=31536000; includeSubDomains";

    private const string Bearer = "Bearer ";

    /// <summary>None in a memory service that runs alone, with keys of its own only.</summary>
    private readonly JwtCodec? codec = services.GetService<JwtCodec>();

    public Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var request = context.Request;
        if (request.IsHttps)
        {
            // Last, since an error's answer starts over.
            context.Response.OnStarting(StayAsync, context.Response);
            return next(context);
        }

        if (request.Path == "/health" || request.Path == "/ready" || IsOneOfOurs(request))
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

    private static Task StayAsync(object response)
    {
        ((HttpResponse)response).Headers.StrictTransportSecurity = StrictTransport;
        return Task.CompletedTask;
    }

    private bool IsOneOfOurs(HttpRequest request) => codec is not null
        && (FrontEnd.IsSigned(request, codec)
            || (request.Headers.Authorization is [{ } header] && header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)
                && codec.Validate(header[Bearer.Length..], TokenProfile.Internal, out _) is not null));
}
