using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Unicode;

namespace AgentFlow.ServiceDefaults.Tokens;

/// <summary>
/// Signs and validates JSON Web Tokens (RFC 7519, compact JWS) as RFC 8725 asks: one algorithm per key (HS256), an explicit type, one
/// issuer and audience, a bounded life, everything compared exactly, nothing fetched, unknown header members refused. Stateless, thread-safe.
/// </summary>
/// <remarks>
/// <code>
/// {"alg":"HS256","typ":"at+jwt","kid":"k1"} . {"iss":"agentflow","aud":"agentflow-api","sub":"0193...","iat":..,"nbf":..,"exp":..,"jti":".."} . MAC
/// </code>
/// </remarks>
public sealed class JwtCodec(KeyRing keys, TimeProvider time)
{
    /// <summary>Characters; ours have about 500.</summary>
    public const int MaxTokenLength = 4_096;

    /// <summary>How far two machines' clocks may differ; the library default of five minutes is a sixth of an access token's life.</summary>
    public static readonly TimeSpan ClockSkew = TimeSpan.FromSeconds(30);

    private const string Algorithm = "HS256";
    private const int MacBytes = HMACSHA256.HashSizeInBytes;

    private static readonly JsonSerializerOptions HeaderJson = Strict(JsonUnmappedMemberHandling.Disallow);
    private static readonly JsonSerializerOptions ClaimsJson = Strict(JsonUnmappedMemberHandling.Skip);

    /// <summary>A token of this kind with the ring's first key.</summary>
    /// <param name="lifetime">Positive, at most the profile's.</param>
    public string Sign(TokenProfile profile, Guid subject, TimeSpan lifetime, string scope = "", Guid? session = null)
    {
        ArgumentNullException.ThrowIfNull(profile);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(lifetime, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(lifetime, profile.MaxLifetime);
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        var claims = new TokenClaims
        {
            Issuer = TokenProfile.Issuer,
            Audience = profile.Audience,
            Subject = subject,
            IssuedAt = now,
            NotBefore = now,
            ExpiresAt = now + (long)lifetime.TotalSeconds,
            Id = Guid.CreateVersion7().ToString("N"),
            Scope = scope,
            Session = session,
        };
        var key = keys.Current;
        var header = new TokenHeader { Algorithm = Algorithm, Type = profile.Type, KeyId = key.Id };
        var signed = Encode(header, HeaderJson) + "." + Encode(claims, ClaimsJson);
        return signed + "." + Base64Url.EncodeToString(Mac(key.Secret, signed));
    }

    /// <summary>The claims of a token that is wholly in order, or null and the reason. Costs one HMAC and two small parses; never throws.</summary>
    public TokenClaims? Validate(string? token, TokenProfile profile, out TokenRefusal refusal)
    {
        ArgumentNullException.ThrowIfNull(profile);
        refusal = TokenRefusal.Malformed;
        if (token is null or { Length: > MaxTokenLength } || !TrySplit(token, out var first, out var second))
            return null;
        if (Decode<TokenHeader>(token.AsSpan(0, first), HeaderJson) is not { } header)
            return null;

        refusal = header.Algorithm != Algorithm ? TokenRefusal.WrongAlgorithm
            : header.Type != profile.Type ? TokenRefusal.WrongType
            : TokenRefusal.None;
        if (refusal is not TokenRefusal.None)
            return null;

        if (keys.Find(header.KeyId) is not { } key)
        {
            refusal = TokenRefusal.UnknownKey;
            return null;
        }

        if (!HasMac(key, token.AsSpan(0, second), token.AsSpan(second + 1)))
        {
            refusal = TokenRefusal.BadSignature;
            return null;
        }

        refusal = TokenRefusal.Malformed;
        if (Decode<TokenClaims>(token.AsSpan(first + 1, second - first - 1), ClaimsJson) is not { } claims)
            return null;
        refusal = Check(claims, profile);
        return refusal is TokenRefusal.None ? claims : null;
    }

    /// <summary>HMAC-SHA-256 of the ASCII signing input (RFC 7515, 5.1).</summary>
    internal static byte[] Mac(ReadOnlySpan<byte> secret, ReadOnlySpan<char> signed)
    {
        var input = new byte[signed.Length];
        Encoding.ASCII.GetBytes(signed, input);
        return HMACSHA256.HashData(secret, input);
    }

    /// <summary>Base64url without padding, in its one canonical spelling; white space, padding and loose trailing bits are refused.</summary>
    internal static byte[]? DecodeSegment(ReadOnlySpan<char> segment)
    {
        // TryDecodeFromChars throws on a bad character, in spite of its name; this form never does.
        var bytes = new byte[Base64Url.GetMaxDecodedLength(segment.Length)];
        if (Base64Url.DecodeFromChars(segment, bytes, out _, out var length) is not OperationStatus.Done)
            return null;
        var decoded = bytes[..length];
        return segment.SequenceEqual(Base64Url.EncodeToString(decoded)) ? decoded : null;
    }

    private TokenRefusal Check(TokenClaims claims, TokenProfile profile)
    {
        if (claims.Issuer != TokenProfile.Issuer)
            return TokenRefusal.WrongIssuer;
        if (claims.Audience != profile.Audience)
            return TokenRefusal.WrongAudience;
        if (claims.Subject == Guid.Empty || claims.IssuedAt < 0 || claims.NotBefore < 0 || claims.ExpiresAt <= claims.IssuedAt)
            return TokenRefusal.Malformed;
        if (claims.ExpiresAt - claims.IssuedAt > (long)profile.MaxLifetime.TotalSeconds)
            return TokenRefusal.LivesTooLong;

        var now = time.GetUtcNow().ToUnixTimeSeconds();
        var skew = (long)ClockSkew.TotalSeconds;
        if (claims.NotBefore > now + skew || claims.IssuedAt > now + skew)
            return TokenRefusal.NotYetValid;
        return claims.ExpiresAt <= now - skew ? TokenRefusal.Expired : TokenRefusal.None;
    }

    private static bool TrySplit(string token, out int first, out int second)
    {
        first = token.IndexOf('.', StringComparison.Ordinal);
        second = first < 0 ? -1 : token.IndexOf('.', first + 1);
        return first > 0 && second > first + 1 && second < token.Length - 1 && token.IndexOf('.', second + 1) < 0;
    }

    private static bool HasMac(SigningKey key, ReadOnlySpan<char> signed, ReadOnlySpan<char> mac)
    {
        var given = DecodeSegment(mac);
        return given is { Length: MacBytes } && CryptographicOperations.FixedTimeEquals(given, Mac(key.Secret, signed));
    }

    private static string Encode<T>(T value, JsonSerializerOptions options) =>
        Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes(value, options));

    private static T? Decode<T>(ReadOnlySpan<char> segment, JsonSerializerOptions options)
        where T : class
    {
        var bytes = DecodeSegment(segment);
        if (bytes is null || !Utf8.IsValid(bytes))
            return null;
        try
        {
            return JsonSerializer.Deserialize<T>(bytes, options);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static JsonSerializerOptions Strict(JsonUnmappedMemberHandling unmapped) => new(JsonSerializerOptions.Strict)
    {
        UnmappedMemberHandling = unmapped,
        MaxDepth = 8,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    private sealed record TokenHeader
    {
        [JsonPropertyName("alg")]
        public required string Algorithm { get; init; }

        [JsonPropertyName("typ")]
        public required string Type { get; init; }

        [JsonPropertyName("kid")]
        public required string KeyId { get; init; }
    }
}
