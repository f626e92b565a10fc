using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace AgentFlow.ApiService.Identity;

/// <summary>Random texts that are shown once and kept only as their SHA-256: 256 random bits need no slow hash.</summary>
internal static class Secrets
{
    public const string ApiKeyPrefix = "af_";
    public const string RefreshPrefix = "afr_";
    public const string InvitePrefix = "afi_";

    /// <summary>Characters of an API key that are stored to find and recognise it: 48 of its 256 bits.</summary>
    public const int ShownLength = 11;

    private const int RandomBytes = 32;
    private const int EncodedLength = 43;

    public static string New(string prefix) => prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(RandomBytes));

    public static byte[] Hash(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));

    /// <summary>Whether a text can be such a secret at all; anything else is not worth a look-up.</summary>
    public static bool HasForm(string? text, string prefix) =>
        text is not null && text.Length == prefix.Length + EncodedLength && text.StartsWith(prefix, StringComparison.Ordinal)
        && text.AsSpan(prefix.Length).IndexOfAnyExcept(Base64UrlCharacters) < 0;

    /// <summary>The token that replaces a refresh token; the same for the same salt, and unknown to whoever lacks one of the two.</summary>
    public static string Successor(string refreshToken, byte[] salt) =>
        RefreshPrefix + Base64Url.EncodeToString(HMACSHA256.HashData(salt, Encoding.UTF8.GetBytes(refreshToken)));

    public static byte[] NewSalt() => RandomNumberGenerator.GetBytes(RandomBytes);

    private static readonly System.Buffers.SearchValues<char> Base64UrlCharacters =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}
