using System.Globalization;
using System.Text.Json;

namespace AgentFlow.Retrieval.Filters;

/// <summary>
/// Instants as filters read them: <c>2026-05-07</c> (midnight UTC) or RFC 3339 with an offset and up to six fraction digits
/// (<c>2026-05-07T10:00:00.5Z</c>), years 1000 to 9998. Anything else is text. One definition for operands, memory, SQL and Qdrant.
/// </summary>
public static class FilterDate
{
    private static readonly string[] Formats = Enumerable.Range(0, 7)
        .Select(digits => "yyyy-MM-dd'T'HH:mm:ss" + (digits == 0 ? "" : "." + new string('f', digits)) + "K").Prepend("yyyy-MM-dd").ToArray();

    public static bool TryParse(ReadOnlySpan<char> text, out DateTimeOffset instant)
    {
        instant = default;
        if (text.Length is < 10 or > 32 || text[0] is < '1' or > '9' || text.StartsWith("9999") || (text.Length > 10 && !EndsInOffset(text)))
            return false;
        return DateTimeOffset.TryParseExact(text, Formats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out instant);
    }

    internal static bool TryRead(JsonElement element, out DateTimeOffset instant)
    {
        instant = default;
        return element.ValueKind == JsonValueKind.String && TryParse(element.GetString(), out instant);
    }

    private static bool EndsInOffset(ReadOnlySpan<char> text) => text[^1] == 'Z' || (text[^3] == ':' && text[^6] is '+' or '-');
}
