using System.Security.Cryptography;

namespace AgentFlow.Web.Edges;

/// <summary>
/// What a browser may do with our pages: scripts of this origin only and inline ones only with this response's nonce, no frames, no plug-ins,
/// no foreign pictures or requests. Style attributes are allowed because Blazor sets them (progress bars).
/// </summary>
internal sealed class SecurityHeaders(RequestDelegate next)
{
    private const string NonceItem = "csp-nonce";

    /// <summary>The nonce of this response; empty where no response is at hand (a circuit).</summary>
    public static string Nonce(HttpContext? context) => context?.Items[NonceItem] as string ?? "";

    public Task InvokeAsync(HttpContext context)
    {
        context.Items[NonceItem] = Convert.ToBase64String(RandomNumberGenerator.GetBytes(16));

        // When the response begins: the error page starts over, and must carry them all the same.
        context.Response.OnStarting(AddAsync, context);
        return next(context);
    }

    private static Task AddAsync(object state)
    {
        var context = (HttpContext)state;
        var nonce = Nonce(context);
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy =
            $"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; style-src-attr 'unsafe-inline'; "
            + "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'none'; manifest-src 'self'";
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers["Referrer-Policy"] = "no-referrer";
        headers["Cross-Origin-Opener-Policy"] = "same-origin";
        headers["Cross-Origin-Resource-Policy"] = "same-origin";
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";
        return Task.CompletedTask;
    }
}
