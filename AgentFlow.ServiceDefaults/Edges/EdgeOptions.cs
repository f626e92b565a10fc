using System.ComponentModel.DataAnnotations;
using System.Net;

namespace AgentFlow.ServiceDefaults.Edges;

/// <summary>How a service meets the network. Section <c>Edges</c>.</summary>
public sealed class EdgeOptions : IValidatableObject
{
    public const string Section = "Edges";

    /// <summary>Addresses or networks (<c>10.0.0.0/8</c>) of proxies whose X-Forwarded-For and -Proto are believed. Default: none.</summary>
    public IList<string> TrustedProxies { get; } = [];

    /// <summary>HTTP is sent on to HTTPS, health excepted. Default: outside development, the memory service excepted. Switch off only behind a network that encrypts.</summary>
    public bool? HttpsRedirect { get; set; }

    /// <summary>Where HTTPS is reached from outside. Default 443.</summary>
    [Range(1, 65_535)]
    public int HttpsPort { get; set; } = 443;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext) => TrustedProxies
        .Where(proxy => !IPNetwork.TryParse(proxy, out _) && !IPAddress.TryParse(proxy, out _))
        .Select(proxy => new ValidationResult($"'{proxy}' is no address or network. Write 10.1.2.3 or 10.0.0.0/8.", [nameof(TrustedProxies)]));
}

/// <summary>What one process holds open at a time. Section <c>Limits</c>, beside a service's own limits.</summary>
public sealed class ConnectionOptions
{
    public const string Section = "Limits";

    /// <summary>Connections at a time. Default 10,000 (about 20 kB each), 4 to 1,000,000.</summary>
    [Range(4, 1_000_000)]
    public long Connections { get; set; } = 10_000;

    /// <summary>WebSockets at a time. Default 2,000, 1 to 1,000,000.</summary>
    [Range(1, 1_000_000)]
    public long WebSockets { get; set; } = 2_000;

    /// <summary>Until a request's headers are all there. Default 15 s, 0.5 s to 5 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00.5", "00:05:00")]
    public TimeSpan HeadersTimeout { get; set; } = TimeSpan.FromSeconds(15);
}
