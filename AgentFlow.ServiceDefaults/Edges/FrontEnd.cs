using System.Net;
using AgentFlow.ServiceDefaults.Tokens;
using Microsoft.AspNetCore.Http;

namespace AgentFlow.ServiceDefaults.Edges;

/// <summary>
/// What AgentFlow's Web says about itself when it calls the API: a token of one minute that only a holder of the shared key ring can sign,
/// and the address of the browser that it acts for. Without it all browsers would be one address, whose limits one stranger could use up.
/// </summary>
/// <remarks><code>X-AgentFlow-Web: eyJ... (web+jwt)
/// X-AgentFlow-Client: 203.0.113.7</code></remarks>
public static class FrontEnd
{
    public const string TokenHeader = "X-AgentFlow-Web";
    public const string ClientHeader = "X-AgentFlow-Client";

    /// <param name="client">The browser's address; null when nobody in particular is acted for.</param>
    public static void Sign(HttpRequestMessage request, JwtCodec codec, string? client)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(codec);
        request.Headers.Add(TokenHeader, codec.Sign(TokenProfile.Web, TokenProfile.WebSubject, TokenProfile.Web.MaxLifetime));
        if (client is not null)
        {
            request.Headers.Add(ClientHeader, client);
        }
    }

    /// <summary>Whether the request comes from our Web. Costs one HMAC, and nothing where the header is missing.</summary>
    public static bool IsSigned(HttpRequest request, JwtCodec codec)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(codec);
        return request.Headers[TokenHeader] is [{ } token] && codec.Validate(token, TokenProfile.Web, out _) is { } claims && claims.Subject == TokenProfile.WebSubject;
    }

    /// <summary>Middleware of the API: takes the browser's address for the caller's where our Web has signed the call, and from nobody else.</summary>
    public static Task BelieveAsync(HttpContext context, RequestDelegate next, JwtCodec codec)
    {
        ArgumentNullException.ThrowIfNull(context);
        ArgumentNullException.ThrowIfNull(next);
        if (context.Request.Headers[ClientHeader] is [{ } client] && IPAddress.TryParse(client, out var address) && IsSigned(context.Request, codec))
        {
            context.Connection.RemoteIpAddress = address;
        }

        return next(context);
    }
}
