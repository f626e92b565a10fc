using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.Web.Edges;

/// <summary>
/// Lets only pages of ours open a circuit. A WebSocket is not held back by the same-origin policy, and a page of another port or a sibling
/// name gets the session's cookie sent along: so the origin, which every browser tells with an upgrade, must be the name that was asked for.
/// </summary>
internal sealed class OriginGate(RequestDelegate next)
{
    private const string Circuits = "/_blazor";

    public Task InvokeAsync(HttpContext context)
    {
        if (!context.Request.Path.StartsWithSegments(Circuits, StringComparison.Ordinal) || IsOwn(context.Request))
            return next(context);
        return Problem.WriteAsync(context, StatusCodes.Status403Forbidden, "origin_not_allowed", "Pages of this origin may not open a circuit here.");
    }

    /// <summary>Browsers leave the origin out of plain reads, but never out of an upgrade.</summary>
    private static bool IsOwn(HttpRequest request) => request.Headers.Origin.Count switch
    {
        0 => request.Headers.Upgrade.Count == 0 || request.Headers.Cookie.Count == 0,
        1 => Uri.TryCreate(request.Headers.Origin[0], UriKind.Absolute, out var origin) && IsOwn(origin, request.Host),
        _ => false,
    };

    /// <summary>A proxy may keep the port to itself; without TLS here, the scheme is its own as well.</summary>
    private static bool IsOwn(Uri origin, HostString host) =>
        origin.Scheme is "http" or "https" && string.Equals(origin.Host, host.Host, StringComparison.OrdinalIgnoreCase) && (host.Port is null || host.Port == origin.Port);
}
