using System.Collections.Frozen;

namespace AgentFlow.Retrieval.Text;

/// <summary>By UTF-16 offsets: <c>text[Start..End]</c> is the sentence without surrounding white space.</summary>
public readonly record struct TextSpan(int Start, int End)
{
    public int Length => End - Start;
}

/// <summary>Cuts text into sentences; everything but white space is in exactly one of them. Pure.</summary>
public static class SentenceSplitter
{
    private static readonly FrozenSet<string>.AlternateLookup<ReadOnlySpan<char>> Abbreviations =
        ("mr mrs ms dr prof st jr sr vs etc inc ltd co corp no vol fig eq al approx dept est gen gov rev sen cf e.g i.e u.s u.k a.m p.m " +
        "jan feb mar apr jun jul aug sep sept oct nov dec ca resp sec para art bzw z.b d.h usw nr")
        .Split(' ').ToFrozenSet(StringComparer.OrdinalIgnoreCase).GetAlternateLookup<ReadOnlySpan<char>>();

    public static IReadOnlyList<TextSpan> Split(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Split(text, 0, text.Length);
    }

    /// <summary>The sentences of <c>text[start..end]</c>, with offsets into the whole text.</summary>
    public static IReadOnlyList<TextSpan> Split(string text, int start, int end)
    {
        ArgumentNullException.ThrowIfNull(text);
        var spans = new List<TextSpan>();
        var from = start;
        for (var i = start; i < end; i++)
        {
            var stop = BoundaryAfter(text, i, end);
            if (stop < 0)
                continue;
            Add(spans, text, from, stop);
            from = stop;
            i = stop - 1;
        }

        Add(spans, text, from, end);
        return spans;
    }

    /// <summary>Where the sentence ends that has a possible end mark at <paramref name="i"/>, or -1.</summary>
    private static int BoundaryAfter(string text, int i, int end)
    {
        switch (text[i])
        {
            case '\n':
                // A blank line ends anything; a single line break only wraps.
                var next = i + 1;
                while (next < end && text[next] is ' ' or '\t' or '\r')
                    next++;
                return next < end && text[next] == '\n' ? next + 1 : -1;
            case '\u3002' or '\uFF01' or '\uFF1F' or '\uFF61':
                return AfterClosing(text, i + 1, end);
            case '.' or '!' or '?' or '\u2026':
                var after = i + 1;
                while (after < end && text[after] is '.' or '!' or '?')
                    after++;
                after = AfterClosing(text, after, end);
                if (after >= end)
                    return end;
                return char.IsWhiteSpace(text[after]) && !IsAbbreviation(text, i, after, end) ? after : -1;
            default:
                return -1;
        }
    }

    private static int AfterClosing(string text, int i, int end)
    {
        while (i < end && text[i] is '"' or '\'' or ')' or ']' or '\u201D' or '\u2019' or '\u300D' or '\u300F' or '\u00BB')
            i++;
        return i;
    }

    private static bool IsAbbreviation(string text, int dot, int after, int end)
    {
        if (text[dot] != '.' || after > dot + 1)
            return false;
        var start = dot;
        while (start > 0 && (char.IsLetterOrDigit(text[start - 1]) || text[start - 1] == '.'))
            start--;
        var word = text.AsSpan(start, dot - start);
        var next = after;
        while (next < end && char.IsWhiteSpace(text[next]))
            next++;
        var isNextLower = next < end && char.IsLower(text[next]);
        if (isNextLower)
            return true;

        // One capital is an initial, but "I." and a lettered or numbered item alone on its line end where they end.
        return Abbreviations.Contains(word) || (word.Length == 1 && char.IsUpper(word[0]) && word[0] != 'I')
            || (word.Length is 1 or 2 && char.IsAsciiDigit(word[0]) && IsLineStart(text, start));
    }

    private static bool IsLineStart(string text, int i)
    {
        while (i > 0 && text[i - 1] is ' ' or '\t')
            i--;
        return i == 0 || text[i - 1] == '\n';
    }

    private static void Add(List<TextSpan> spans, string text, int start, int end)
    {
        while (start < end && char.IsWhiteSpace(text[start]))
            start++;
        while (end > start && char.IsWhiteSpace(text[end - 1]))
            end--;
        if (end > start)
            spans.Add(new TextSpan(start, end));
    }
}
