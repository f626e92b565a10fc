using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace AgentFlow.ServiceDefaults.Tokens;

/// <summary>
/// The keys that sign tokens, from <c>Auth:Keys = "kid:base64[,kid2:base64]"</c>. The first signs; all of them verify, so that a key is
/// rotated by putting the new one in front and dropping the old one when its last token has expired. Immutable, thread-safe.
/// </summary>
public sealed class KeyRing
{
    /// <summary>Bytes; RFC 7518 3.2 asks for at least the size of the hash.</summary>
    public const int MinSecretBytes = 32;

    private const int MaxKeys = 8;
    private const int MaxSecretBytes = 512;

    /// <summary>Random bytes of this length repeat so much less than once in 10^20 rings; typed or padded ones do.</summary>
    private const int MinDistinctBytes = 16;

    private static readonly string[] ExampleWords =
        ["secret", "change", "example", "password", "your", "replace", "default", "insert", "agentflow", "development", "12345", "abcdef"];

    private readonly SigningKey[] _keys;

    private KeyRing(SigningKey[] keys) => _keys = keys;

    public SigningKey Current => _keys[0];

    /// <summary>Reads the setting.</summary>
    /// <param name="value"><c>a:q83v...=,b:...</c>; standard base64.</param>
    /// <param name="error">What is wrong, without any part of a secret, and the cure.</param>
    public static bool TryParse(string? value, [NotNullWhen(true)] out KeyRing? ring, [NotNullWhen(false)] out string? error)
    {
        ring = null;
        if (string.IsNullOrWhiteSpace(value))
        {
            error = Message("is not set");
            return false;
        }

        var parts = value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length is 0 or > MaxKeys)
        {
            error = Message($"names {parts.Length} keys; 1 to {MaxKeys} are allowed");
            return false;
        }

        var keys = new SigningKey[parts.Length];
        for (var i = 0; i < parts.Length; i++)
        {
            if (!TryParseKey(parts[i], i, out var key, out error))
                return false;
            if (keys.AsSpan(0, i).ToArray().Any(earlier => earlier.Id == key.Id))
            {
                error = Message($"has two keys with the id '{key.Id}'");
                return false;
            }

            keys[i] = key;
        }

        ring = new KeyRing(keys);
        error = null;
        return true;
    }

    /// <summary>As <see cref="TryParse"/>, for places where the setting has been validated.</summary>
    /// <exception cref="FormatException">The setting is unusable; the message says why and how to make one.</exception>
    public static KeyRing Parse(string? value) => TryParse(value, out var ring, out var error) ? ring : throw new FormatException(error);

    /// <summary>Looks an id up among the ring's own few; a hostile one is compared, never used as a path, address or query.</summary>
    public SigningKey? Find(string kid)
    {
        foreach (var key in _keys)
        {
            if (string.Equals(key.Id, kid, StringComparison.Ordinal))
                return key;
        }

        return null;
    }

    private static bool TryParseKey(string part, int index, [NotNullWhen(true)] out SigningKey? key, [NotNullWhen(false)] out string? error)
    {
        key = null;
        var colon = part.IndexOf(':', StringComparison.Ordinal);
        if (colon is < 1 or > 32 || !part.AsSpan(0, colon).ContainsOnlyKeyIdCharacters())
        {
            error = Message($"entry {index + 1} has no id of 1 to 32 letters, digits, '-' or '_' before a colon");
            return false;
        }

        var id = part[..colon];
        var secret = new byte[MaxSecretBytes];
        if (!Convert.TryFromBase64String(part[(colon + 1)..], secret, out var length))
        {
            error = Message($"key '{id}' is not base64 of at most {MaxSecretBytes} bytes");
            return false;
        }

        secret = secret[..length];
        error = length < MinSecretBytes ? Message($"key '{id}' has {length * 8} bits; at least {MinSecretBytes * 8} are needed")
            : LooksTyped(secret) ? Message($"key '{id}' is an example or was typed, not random")
            : null;
        key = error is null ? new SigningKey(id, secret) : null;
        return key is not null;
    }

    private static bool LooksTyped(byte[] secret)
    {
        if (secret.Distinct().Count() < MinDistinctBytes)
            return true;
        if (Enumerable.Range(1, secret.Length - 1).All(i => secret[i] == (byte)(secret[i - 1] + 1)))
            return true;
        var text = Encoding.Latin1.GetString(secret);
        return ExampleWords.Any(word => text.Contains(word, StringComparison.OrdinalIgnoreCase));
    }

    private static string Message(string problem) =>
        $"Auth:Keys {problem}. Set it to an id, a colon and 32 random bytes in base64, for example AUTH__KEYS=\"k1:$(openssl rand -base64 32)\".";
}

/// <summary>One key of the ring, bound to one algorithm (HS256).</summary>
public sealed class SigningKey(string id, byte[] secret)
{
    public string Id { get; } = id;

    /// <summary>Never logged: the type prints its id only.</summary>
    internal ReadOnlySpan<byte> Secret => secret;

    public override string ToString() => Id;
}

file static class KeyIds
{
    public static bool ContainsOnlyKeyIdCharacters(this ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_'))
                return false;
        }

        return true;
    }
}
