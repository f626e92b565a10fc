using System.Text;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http;
using Microsoft.Net.Http.Headers;

namespace AgentFlow.ServiceDefaults.Http;

/// <summary>
/// One encoding, one framing: UTF-8 only (ASVS 5.0, 1.5.3), no compressed bodies, no request that carries two lengths, no U+0000 in the
/// address. The framework answers 500 to an unknown charset (aspnetcore#3959), takes UTF-16, and lets Transfer-Encoding win over
/// Content-Length in silence.
/// </summary>
public sealed class ContentRules(RequestDelegate next)
{
    /// <summary>Where Kestrel puts a Content-Length that came together with Transfer-Encoding.</summary>
    private const string OverriddenLength = "X-Content-Length";

    public Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var request = context.Request;
        if (request.Headers.ContainsKey(OverriddenLength))
        {
            context.Response.Headers.Connection = "close";
            return Problem.WriteAsync(context, StatusCodes.Status400BadRequest, "bad_request", "Send Content-Length or Transfer-Encoding, not both.");
        }

        if (request.QueryString.Value?.Contains("%00", StringComparison.Ordinal) == true)
        {
            return Problem.WriteAsync(context, StatusCodes.Status400BadRequest, "bad_request", "The address holds U+0000.");
        }

        if (request.Headers.ContentEncoding.Count > 0)
        {
            return Problem.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "unsupported_media_type", "Send the body as it is, without Content-Encoding.");
        }

        if (request.ContentType is { } type && !IsUtf8(type))
        {
            return Problem.WriteAsync(context, StatusCodes.Status415UnsupportedMediaType, "unsupported_media_type", "Send UTF-8; leave the charset out or write charset=utf-8.");
        }

        return next(context);
    }

    private static bool IsUtf8(string contentType)
    {
        if (!MediaTypeHeaderValue.TryParse(contentType, out var parsed))
        {
            return !contentType.Contains("charset", StringComparison.OrdinalIgnoreCase);
        }

        var charset = HeaderUtilities.RemoveQuotes(parsed.Charset);
        return !charset.HasValue || charset.Equals(Encoding.UTF8.WebName, StringComparison.OrdinalIgnoreCase) || charset.Equals("utf8", StringComparison.OrdinalIgnoreCase);
    }
}
