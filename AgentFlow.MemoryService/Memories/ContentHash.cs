using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using AgentFlow.Contracts.Memories;

namespace AgentFlow.MemoryService.Memories;

/// <summary>
/// Says when two texts are the same memory: equal after lower-casing, collapsing white space and dropping punctuation at the ends. A
/// message that was said at another moment or by somebody else is another message, so its time and speaker are part of the hash.
/// </summary>
internal static class ContentHash
{
    /// <returns>32 bytes, SHA-256.</returns>
    internal static byte[] Of(string text, MemoryKind kind, DateTimeOffset? observedAt, string? role, string? actor)
    {
        var normalized = Normalize(text);
        return kind == MemoryKind.Message
            ? Hash($"message\n{observedAt?.UtcTicks.ToString(CultureInfo.InvariantCulture)}\n{role}\n{actor}\n{normalized}")
            : Hash(normalized);
    }

    /// <summary>The four subjects as one value; absent and empty are told apart by the separators' count.</summary>
    internal static byte[] OfSubject(MemoryScope scope) => Hash(
        $"{Mark(scope.UserId)}\u0001{Mark(scope.AgentId)}\u0001{Mark(scope.SessionId)}\u0001{Mark(scope.AppId)}");

    internal static string Normalize(string text)
    {
        var builder = new StringBuilder(text.Length);
        var pendingSpace = false;
        foreach (var character in text)
        {
            if (char.IsWhiteSpace(character))
            {
                pendingSpace = builder.Length > 0;
                continue;
            }

            if (pendingSpace)
            {
                builder.Append(' ');
                pendingSpace = false;
            }

            builder.Append(char.ToLowerInvariant(character));
        }

        var folded = builder.ToString();
        var trimmed = folded.Trim('.', '!', ',', ';', ':', ' ', '"', '\'', '。', '！');
        return trimmed.Length == 0 ? folded : trimmed;
    }

    private static string Mark(string? subject) => subject is null ? "-" : $"+{subject}";

    private static byte[] Hash(string text)
    {
        var size = Encoding.UTF8.GetMaxByteCount(text.Length);
        var buffer = ArrayPool<byte>.Shared.Rent(size);
        try
        {
            return SHA256.HashData(buffer.AsSpan(0, Encoding.UTF8.GetBytes(text, buffer)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}
