using System.Text;
using AgentFlow.Retrieval.Chunking;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// Where the readers of structured formats put what they find, block by block. Builds the stored text (a blank line between blocks, one
/// line break inside lists and tables), cuts windows between blocks and keeps the text within its limit. Not thread-safe.
/// </summary>
/// <param name="emit">Gets each window as soon as it is full.</param>
/// <param name="maxCharacters">UTF-16 units of all windows together.</param>
internal sealed class BlockWriter(Action<TextWindow> emit, int maxCharacters)
{
    private readonly StringBuilder text = new();
    private readonly List<TextBlock> blocks = [];
    private BlockKind? last;
    private long total;

    /// <summary>1-based; null where the format has none. Set by the reader before a page's blocks.</summary>
    public int? Page { get; set; }

    /// <summary>0 to 1; set by readers that know how far they are.</summary>
    public double Progress { get; set; }

    /// <summary>True while nothing but white space was written.</summary>
    public bool IsEmpty { get; private set; } = true;

    /// <param name="level">1 (outermost) to 6.</param>
    public void Heading(int level, string content) => Add(BlockKind.Heading, Collapse(content), Math.Clamp(level, 1, 6));

    public void Paragraph(string content) => Add(BlockKind.Paragraph, Collapse(content));

    /// <param name="content">Without its bullet.</param>
    public void ListItem(string content) => Add(BlockKind.ListItem, Prefixed("- ", Collapse(content)));

    /// <summary>One row; cells are parted by " | ".</summary>
    public void TableRow(IEnumerable<string> cells)
    {
        var row = string.Join(" | ", cells.Select(Collapse));
        if (row.AsSpan().Trim(" |").Length > 0)
            Add(BlockKind.Table, row);
    }

    /// <summary>Kept as it is, lines and indentation included.</summary>
    public void Code(string content) => Add(BlockKind.Code, Clean(content).Trim('\n'));

    /// <summary>Kept as it is; its headings, lists, tables and code become blocks.</summary>
    public void Markdown(string content)
    {
        var markdown = Clean(content).Trim('\n');
        if (string.IsNullOrWhiteSpace(markdown))
            return;
        var start = Begin(BlockKind.Paragraph);
        text.Append(markdown);
        Check();
        blocks.AddRange(StructureReader.Read(markdown, TextFormat.Markdown).Select(block => block with { Start = block.Start + start, End = block.End + start, Page = Page }));
    }

    /// <summary>Ends the document: the last window, with what the document says of itself.</summary>
    public void Finish(DocumentInfo info)
    {
        Progress = 1;
        Emit(info);
    }

    private void Add(BlockKind kind, string content, int level = 0)
    {
        if (string.IsNullOrWhiteSpace(content))
            return;
        var start = Begin(kind);
        text.Append(content);
        Check();
        blocks.Add(new TextBlock(kind, start, text.Length, level, Page));
    }

    /// <summary>Parts what comes from what was written, and says where it starts.</summary>
    private int Begin(BlockKind kind)
    {
        IsEmpty = false;
        if (text.Length >= TextWindows.Target)
            Emit(null);
        if (last is { } before)
            text.Append(before == kind && kind is BlockKind.ListItem or BlockKind.Table ? "\n" : "\n\n");
        last = kind;
        return text.Length;
    }

    private void Check()
    {
        if (total + text.Length > maxCharacters)
            throw new ExtractionFailedException($"It is too large: its text has more than {maxCharacters:N0} characters.");
    }

    private void Emit(DocumentInfo? info)
    {
        total += text.Length;
        emit(new TextWindow(text.ToString(), TextFormat.Plain, [.. blocks], Progress) { Info = info });
        text.Clear();
        blocks.Clear();
    }

    private static string Prefixed(string prefix, string content) => content.Length == 0 ? content : prefix + content;

    /// <summary>Runs of white space become one space, as a browser shows them.</summary>
    private static string Collapse(string content)
    {
        var result = new StringBuilder(content.Length);
        var pending = false;
        foreach (var character in Clean(content))
        {
            if (char.IsWhiteSpace(character))
            {
                pending = result.Length > 0;
                continue;
            }

            if (pending)
                result.Append(' ');
            pending = false;
            result.Append(character);
        }

        return result.ToString();
    }

    /// <summary>No U+0000, lines end with LF, and no half of a surrogate pair.</summary>
    private static string Clean(string content)
    {
        if (content.AsSpan().IndexOfAny('\0', '\r') < 0 && !HasLoneSurrogate(content))
            return content;
        var result = new StringBuilder(content.Length);
        foreach (var rune in content.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n').EnumerateRunes())
        {
            if (rune.Value != 0)
                result.Append(rune.ToString());
        }

        return result.ToString();
    }

    private static bool HasLoneSurrogate(string content)
    {
        for (var i = 0; i < content.Length; i++)
        {
            if (!char.IsSurrogate(content[i]))
                continue;
            if (i + 1 >= content.Length || !char.IsSurrogatePair(content[i], content[i + 1]))
                return true;
            i++;
        }

        return false;
    }
}
