using System.Globalization;
using System.Text.Json;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// JSON as programs write it that cut texts by UTF-16 units: an escape may be half of a surrogate pair (<c>"\ud83d"</c>), which the format allows
/// (RFC 8259, section 8.2) and no string that is read from it can hold. Such an escape is read as U+FFFD.
/// </summary>
internal static class LooseJson
{
    private const int EscapeLength = 6;
    private const string Replacement = "\\uFFFD";

    /// <exception cref="JsonException">It is not JSON.</exception>
    public static JsonDocument Parse(string text, JsonDocumentOptions options) => JsonDocument.Parse(WithoutHalves(text), options);

    private static ReadOnlyMemory<char> WithoutHalves(string text)
    {
        char[]? mended = null;
        for (var i = text.IndexOf("\\ud", StringComparison.OrdinalIgnoreCase) < 0 ? -1 : text.IndexOf('\\'); i >= 0 && i + 1 < text.Length;)
        {
            var length = 2;
            if (Unit(text, i) is { } unit)
            {
                var isPair = char.IsHighSurrogate(unit) && Unit(text, i + EscapeLength) is { } second && char.IsLowSurrogate(second);
                if (!isPair && char.IsSurrogate(unit))
                    Replacement.CopyTo((mended ??= text.ToCharArray()).AsSpan(i));
                length = isPair ? 2 * EscapeLength : EscapeLength;
            }

            var next = text.AsSpan(i + length).IndexOf('\\');
            i = next < 0 ? -1 : i + length + next;
        }

        return mended ?? text.AsMemory();
    }

    /// <summary>The UTF-16 unit that is escaped here, or null.</summary>
    private static char? Unit(string text, int at) =>
        at + EscapeLength <= text.Length && text[at] == '\\' && text[at + 1] == 'u' && ushort.TryParse(text.AsSpan(at + 2, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var unit)
            ? (char)unit : null;
}
