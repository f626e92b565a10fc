namespace AgentFlow.Web.Markdown;

/// <summary>Finds markers such as <c>[2]</c> in an answer. Pure.</summary>
internal static class CitationMarkers
{
    private const int MaxDigits = 3;

    public static IEnumerable<(int At, int Length, int Index)> Find(string text)
    {
        for (var at = text.IndexOf('[', StringComparison.Ordinal); at >= 0; at = text.IndexOf('[', at + 1))
        {
            var end = at + 1;
            while (end < text.Length && end - at <= MaxDigits && char.IsAsciiDigit(text[end]))
                end++;
            if (end > at + 1 && end < text.Length && text[end] == ']')
                yield return (at, end - at + 1, int.Parse(text.AsSpan(at + 1, end - at - 1)));
        }
    }
}
