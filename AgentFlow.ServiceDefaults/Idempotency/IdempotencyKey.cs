using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace AgentFlow.ServiceDefaults.Idempotency;

/// <summary>
/// The caller's <c>Idempotency-Key</c>, and ids made from it: a handler that creates under such an id, with <c>on conflict do nothing</c>, has
/// one effect even if the process dies between the effect and the answer.
/// </summary>
public sealed record IdempotencyKey(Guid OwnerId, string Route, string Key)
{
    public const string Header = "Idempotency-Key";
    public const int MaxLength = 255;

    /// <summary>A UUID (version 8: our own scheme) that is the same for every replay. Without a key, a new one.</summary>
    /// <param name="context">The request.</param>
    /// <param name="ordinal">Tells several ids of one request apart.</param>
    public static Guid DeriveId(HttpContext context, int ordinal = 0)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Features.Get<IdempotencyKey>()?.DeriveId(ordinal) ?? Guid.CreateVersion7();
    }

    public Guid DeriveId(int ordinal)
    {
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(Encoding.UTF8.GetBytes($"{OwnerId:D}\n{Route}\n{Key}\n{ordinal}"), hash);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x80);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }

    /// <summary>Bare or as a structured-field string: <c>8e03978e</c> or <c>"8e03978e"</c>. Null when it is neither, empty or too long.</summary>
    internal static string? Parse(string header)
    {
        var value = header.Trim();
        if (value.Length >= 2 && value[0] == '"' && value[^1] == '"')
        {
            value = value[1..^1];
        }

        var valid = value.Length is > 0 and <= MaxLength && value.All(character => character is > ' ' and < (char)127 and not '"');
        return valid ? value : null;
    }
}
