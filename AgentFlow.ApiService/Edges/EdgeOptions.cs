using System.ComponentModel.DataAnnotations;
using System.Net;

namespace AgentFlow.ApiService.Edges;

/// <summary>How the service meets the network. Section <c>Edges</c>.</summary>
internal sealed class EdgeOptions : IValidatableObject
{
    public const string Section = "Edges";

    /// <summary>Addresses or networks (<c>10.0.0.0/8</c>) of proxies whose X-Forwarded-For and -Proto are believed. Default: none.</summary>
    public IList<string> TrustedProxies { get; } = [];

    /// <summary>HTTP is sent on to HTTPS, health excepted. Default: outside development. Switch off only behind a network that encrypts.</summary>
    public bool? HttpsRedirect { get; set; }

    /// <summary>Where HTTPS is reached from outside. Default 443.</summary>
    [Range(1, 65_535)]
    public int HttpsPort { get; set; } = 443;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) => TrustedProxies
        .Where(proxy => !IPNetwork.TryParse(proxy, out _) && !IPAddress.TryParse(proxy, out _))
        .Select(proxy => new ValidationResult($"'{proxy}' is no address or network. Write 10.1.2.3 or 10.0.0.0/8.", [nameof(TrustedProxies)]));
}

/// <summary>Web pages of other origins that may call the API and open its WebSockets. Section <c>Cors</c>; <c>FRONTEND_URL</c> is added.</summary>
internal sealed class CorsOriginOptions : IValidatableObject
{
    public const string Section = "Cors";

    /// <summary>Exact origins, such as <c>https://app.example.org</c>: scheme, host and port, nothing else. Default: none.</summary>
    public IList<string> Origins { get; } = [];

    /// <summary>Compared exactly, as browsers send it.</summary>
    public bool Allows(string? origin) => origin is not null && Origins.Contains(origin, StringComparer.OrdinalIgnoreCase);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) => Origins
        .Where(origin => !Uri.TryCreate(origin, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https")
            || !string.Equals(uri.GetLeftPart(UriPartial.Authority), origin, StringComparison.OrdinalIgnoreCase))
        .Select(origin => new ValidationResult($"'{origin}' is no origin. Write scheme, host and port only, such as https://app.example.org.", [nameof(Origins)]));
}
