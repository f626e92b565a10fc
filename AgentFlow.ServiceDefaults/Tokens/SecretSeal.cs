using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace AgentFlow.ServiceDefaults.Tokens;

/// <summary>
/// Seals what is kept at rest outside the process that may read it: AES-256-GCM with a key derived (HKDF-SHA-256) from the ring's keys for one
/// purpose. The first key seals; a sealed value opens as long as its key is in the ring. Thread-safe.
/// </summary>
/// <remarks><code>kid . base64url(12-byte nonce, ciphertext, 16-byte tag)</code></remarks>
public sealed class SecretSeal(KeyRing keys)
{
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    /// <param name="purpose">Separates uses: what was sealed for one does not open for another.</param>
    public string Close(string purpose, ReadOnlySpan<byte> secret)
    {
        var box = new byte[NonceBytes + secret.Length + TagBytes];
        RandomNumberGenerator.Fill(box.AsSpan(0, NonceBytes));
        using var cipher = new AesGcm(Derive(keys.Current, purpose), TagBytes);
        cipher.Encrypt(
            box.AsSpan(0, NonceBytes), secret, box.AsSpan(NonceBytes, secret.Length), box.AsSpan(NonceBytes + secret.Length), Encoding.UTF8.GetBytes(purpose));
        return keys.Current.Id + "." + System.Buffers.Text.Base64Url.EncodeToString(box);
    }

    /// <summary>False for what was changed, was sealed for another purpose, or with a key that has left the ring.</summary>
    public bool TryOpen(string purpose, string sealedText, [NotNullWhen(true)] out byte[]? secret)
    {
        ArgumentNullException.ThrowIfNull(sealedText);
        secret = null;
        var dot = sealedText.IndexOf('.', StringComparison.Ordinal);
        if (dot < 1 || keys.Find(sealedText[..dot]) is not { } key || JwtCodec.DecodeSegment(sealedText.AsSpan(dot + 1)) is not { } box)
            return false;
        if (box.Length < NonceBytes + TagBytes)
            return false;
        var opened = new byte[box.Length - NonceBytes - TagBytes];
        using var cipher = new AesGcm(Derive(key, purpose), TagBytes);
        try
        {
            cipher.Decrypt(
                box.AsSpan(0, NonceBytes), box.AsSpan(NonceBytes, opened.Length), box.AsSpan(NonceBytes + opened.Length), opened, Encoding.UTF8.GetBytes(purpose));
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }

        secret = opened;
        return true;
    }

    private static byte[] Derive(SigningKey key, string purpose)
    {
        var derived = new byte[32];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, key.Secret, derived, salt: [], info: Encoding.UTF8.GetBytes(purpose));
        return derived;
    }
}
