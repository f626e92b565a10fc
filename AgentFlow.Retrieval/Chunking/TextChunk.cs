namespace AgentFlow.Retrieval.Chunking;

/// <summary>A passage of a text, by UTF-16 offsets: <c>text[Start..End]</c> is the passage.</summary>
/// <param name="Ordinal">0, 1, 2, ... in the text's order; neighbours are the ordinals beside it.</param>
/// <param name="HeadingPath">The headings it stands under, outermost first.</param>
/// <param name="Page">1-based page that it starts on, where the format has pages.</param>
public sealed record TextChunk(int Ordinal, int Start, int End, IReadOnlyList<string> HeadingPath, int? Page);

/// <summary>How plain text is read for its structure; formats that carry their own (html, docx, pptx) come with blocks.</summary>
public enum TextFormat
{
    Plain,
    Markdown,
    Code,
}

public enum BlockKind
{
    Paragraph,
    Heading,
    ListItem,
    Table,
    Code,
}

/// <summary>A piece of a text's structure, by UTF-16 offsets; blocks are in order and do not overlap. What lies between is white space.</summary>
/// <param name="Level">For headings 1 (outermost) to 6.</param>
/// <param name="Page">1-based, where the format has pages.</param>
public sealed record TextBlock(BlockKind Kind, int Start, int End, int Level = 0, int? Page = null);

public sealed record ChunkingOptions
{
    /// <summary>A chunk is closed when the next block would bring it over this many characters; 100 to 10,000.</summary>
    public int TargetCharacters { get; init; } = 1_200;

    /// <summary>No chunk is longer, but for a single word that is; at least the target.</summary>
    public int MaxCharacters { get; init; } = 2_000;
}
