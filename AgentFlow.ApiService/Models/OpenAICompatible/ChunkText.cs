using System.Globalization;
using System.Text;
using System.Text.Json;

namespace AgentFlow.ApiService.Models.OpenAICompatible;

/// <summary>Strings of a stream's chunks. Some servers cut an answer by UTF-16 units: one chunk ends with <c>\ud83d</c>, the next begins with <c>\ude00</c>.</summary>
internal static class ChunkText
{
    /// <returns>The text, which may begin or end with half of a surrogate pair; null for what is no string.</returns>
    public static string? Of(JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.String)
            return null;
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            return Unescaped(value.GetRawText().AsSpan()[1..^1]);
        }
    }

    /// <param name="raw">Between the quotes, and known to be valid JSON.</param>
    private static string Unescaped(ReadOnlySpan<char> raw)
    {
        var text = new StringBuilder(raw.Length);
        for (var at = raw.IndexOf('\\'); at >= 0; at = raw.IndexOf('\\'))
        {
            text.Append(raw[..at]).Append(raw[at + 1] switch
            {
                'u' => (char)ushort.Parse(raw.Slice(at + 2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture),
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\b',
                'f' => '\f',
                var itself => itself,
            });
            raw = raw[(at + (raw[at + 1] == 'u' ? 6 : 2))..];
        }

        return text.Append(raw).ToString();
    }
}
