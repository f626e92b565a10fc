using System.Text.RegularExpressions;

namespace AgentFlow.Retrieval.Chunking;

/// <summary>Finds the blocks of texts whose structure is in the text itself. Pure; linear in the text's length.</summary>
public static partial class StructureReader
{
    private const int MaxPlainHeading = 80;

    public static IReadOnlyList<TextBlock> Read(string text, TextFormat format)
    {
        ArgumentNullException.ThrowIfNull(text);
        return format switch
        {
            TextFormat.Markdown => MarkdownReader.Read(text),
            TextFormat.Code => ReadGroups(text, static (_, _, _) => (BlockKind.Code, 0)),
            _ => ReadGroups(text, PlainKind),
        };
    }

    /// <summary>Groups of lines between blank ones; a form feed (as pdftotext writes it) starts the next page.</summary>
    private static List<TextBlock> ReadGroups(string text, Func<string, int, int, (BlockKind Kind, int Level)> kindOf)
    {
        var blocks = new List<TextBlock>();
        int? page = text.Contains('\f', StringComparison.Ordinal) ? 1 : null;
        var start = -1;
        var end = 0;
        foreach (var line in Lines.Of(text))
        {
            var breaks = line.Start;
            while (breaks < line.End && text[breaks] == '\f')
                breaks++;
            if (breaks > line.Start || line.IsBlank(text))
            {
                Close();
                page += breaks - line.Start;
                if (line.IsBlank(text))
                    continue;
            }

            if (start < 0)
                start = breaks;
            end = line.End;
        }

        Close();
        return blocks;

        void Close()
        {
            if (start < 0)
                return;
            var (kind, level) = kindOf(text, start, end);
            blocks.Add(new TextBlock(kind, start, end, level, page));
            start = -1;
        }
    }

    /// <summary>A short line that stands alone, in capitals (<c>TERMS AND CONDITIONS</c>) or numbered (<c>2.1 Scope</c>), is a heading.</summary>
    private static (BlockKind Kind, int Level) PlainKind(string text, int start, int end)
    {
        var block = text.AsSpan(start, end - start).Trim();
        if (block.Length > MaxPlainHeading || block.Contains('\n'))
            return (BlockKind.Paragraph, 0);
        var number = SectionNumber().EnumerateMatches(block);
        if (number.MoveNext() && block[^1] is not (',' or ';'))
            return (BlockKind.Heading, Math.Min(6, 2 + block[..number.Current.Length].TrimEnd(". ").Count('.')));
        var hasLetter = block.ContainsAnyInRange('A', 'Z');
        return hasLetter && !block.ContainsAnyInRange('a', 'z') && block.Length >= 3 ? (BlockKind.Heading, 1) : (BlockKind.Paragraph, 0);
    }

    // "2. ", "2.1 ", "2.1.3. " in front of a capital
    [GeneratedRegex(@"^\d{1,3}(?:\.\d{1,3}){0,4}\.? +(?=\p{Lu})", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex SectionNumber();
}

/// <param name="Start">Offset of the line's first character.</param>
/// <param name="End">Offset after its last one, without the line break.</param>
internal readonly record struct Line(int Start, int End)
{
    public bool IsBlank(string text) => text.AsSpan(Start, End - Start).IsWhiteSpace();

    public ReadOnlySpan<char> Of(string text) => text.AsSpan(Start, End - Start);
}

internal static class Lines
{
    public static IEnumerable<Line> Of(string text)
    {
        var start = 0;
        while (start < text.Length)
        {
            var stop = text.IndexOf('\n', start);
            var next = stop < 0 ? text.Length : stop + 1;
            var end = stop < 0 ? text.Length : stop;
            if (end > start && text[end - 1] == '\r')
                end--;
            yield return new Line(start, end);
            start = next;
        }
    }
}
