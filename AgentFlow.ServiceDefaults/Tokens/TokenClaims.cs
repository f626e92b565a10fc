using System.Text.Json.Serialization;

namespace AgentFlow.ServiceDefaults.Tokens;

/// <summary>A kind of token. The kinds exclude each other by <see cref="Type"/> and <see cref="Audience"/> (RFC 8725, 3.11 and 3.12).</summary>
/// <param name="Type">The header's <c>typ</c>, compared exactly.</param>
/// <param name="Audience">The one audience, compared exactly.</param>
/// <param name="MaxLifetime">A token that claims to live longer is refused, whoever signed it.</param>
public sealed record TokenProfile(string Type, string Audience, TimeSpan MaxLifetime)
{
    public const string Issuer = "agentflow";

    /// <summary>What a signed-in person's client shows the API.</summary>
    public static TokenProfile Access { get; } = new("at+jwt", "agentflow-api", TimeSpan.FromHours(1));

    /// <summary>What the API shows the memory service on behalf of an owner.</summary>
    public static TokenProfile Internal { get; } = new("internal+jwt", "memory", TimeSpan.FromSeconds(60));

    /// <summary>What the Web shows the API to keep its sessions and keys there.</summary>
    public static TokenProfile Web { get; } = new("web+jwt", "agentflow-internal-web", TimeSpan.FromSeconds(60));

    /// <summary>The Web as the subject of its own tokens; no account has this id.</summary>
    public static Guid WebSubject { get; } = new("00000000-0000-7000-8000-000000000001");
}

/// <summary>What a token says. Times are whole seconds since 1970, UTC.</summary>
public sealed record TokenClaims
{
    [JsonPropertyName("iss")]
    public required string Issuer { get; init; }

    [JsonPropertyName("aud")]
    public required string Audience { get; init; }

    /// <summary>The owner.</summary>
    [JsonPropertyName("sub")]
    public required Guid Subject { get; init; }

    [JsonPropertyName("iat")]
    public required long IssuedAt { get; init; }

    [JsonPropertyName("nbf")]
    public required long NotBefore { get; init; }

    [JsonPropertyName("exp")]
    public required long ExpiresAt { get; init; }

    [JsonPropertyName("jti")]
    public required string Id { get; init; }

    /// <summary>Space-separated, as in RFC 8693.</summary>
    [JsonPropertyName("scope")]
    public string Scope { get; init; } = "";

    /// <summary>The refresh family that an access token came from; what signing out revokes.</summary>
    [JsonPropertyName("sid")]
    public Guid? Session { get; init; }
}

/// <summary>Why a token was refused; for logs and metrics, never told to the caller in detail.</summary>
public enum TokenRefusal
{
    None,
    Malformed,
    WrongAlgorithm,
    WrongType,
    UnknownKey,
    BadSignature,
    WrongIssuer,
    WrongAudience,
    Expired,
    NotYetValid,
    LivesTooLong,
}
