using System.Security.Cryptography;
using System.Text;
using AgentFlow.ApiService.Documents.Extraction;
using AgentFlow.Retrieval.Chunking;

namespace AgentFlow.ApiService.Documents;

/// <summary>A passage before it is stored; offsets are into the whole stored text.</summary>
internal sealed record NewChunk
{
    public required Guid Id { get; init; }

    public required int Ordinal { get; init; }

    public required int Start { get; init; }

    public required int End { get; init; }

    public required int? Page { get; init; }

    public required IReadOnlyList<string> HeadingPath { get; init; }

    public required string Text { get; init; }

    /// <summary>SHA-256 of <see cref="Indexed"/>.</summary>
    public required byte[] ContentHash { get; init; }

    /// <summary>What is embedded.</summary>
    public string Indexed => ChunkText.ForIndex(HeadingPath, Text);
}

internal static class ChunkText
{
    /// <summary>
    /// Headings in front of the passage, so that a passage is found by what it stands under; the last heading is left out where the
    /// passage begins with it.
    /// </summary>
    public static string ForIndex(IReadOnlyList<string> headingPath, string text)
    {
        var above = headingPath.Where(heading => !text.AsSpan(0, Math.Min(text.Length, heading.Length + 16)).Contains(heading, StringComparison.Ordinal)).ToArray();
        return above.Length == 0 ? text : $"{string.Join(" > ", above)}\n{text}";
    }

    /// <summary>
    /// What words are taken from: a question that names a document finds its passages. Not embedded, so that a new name costs no embeddings.
    /// </summary>
    public static string ForWords(string label, IReadOnlyList<string> headingPath, string text) => $"{label}\n{ForIndex(headingPath, text)}";

    /// <summary>The document's name without the ending that says its type, and its title where that says something else.</summary>
    public static string Label(string name, string? title)
    {
        var bare = Path.GetFileNameWithoutExtension(name);
        return title is null || bare.Contains(title, StringComparison.OrdinalIgnoreCase) ? bare : $"{bare}\n{title}";
    }
}

/// <summary>Chunks a document window by window; carries headings, offsets and ordinals from one window to the next. Deterministic.</summary>
internal sealed class WindowChunker(Guid documentId, int version, ChunkingOptions options)
{
    private List<(int Level, string Title)> headings = [];
    private int offset;
    private int ordinal;

    /// <summary>Where the next window starts in the stored text.</summary>
    public int Offset => offset;

    /// <summary>The next chunk's ordinal.</summary>
    public int Ordinal => ordinal;

    /// <summary>The first heading of all, at most 300 characters.</summary>
    public string? FirstHeading { get; private set; }

    public IReadOnlyList<NewChunk> Take(TextWindow window)
    {
        var blocks = window.Blocks ?? StructureReader.Read(window.Text, window.Format);
        var inWindow = blocks.Where(block => block.Kind == BlockKind.Heading).Select(block => (block.Start, block.Level, Title: Title(window.Text, block))).ToList();
        var chunks = new List<NewChunk>();
        var next = 0;
        var lowest = int.MaxValue;
        foreach (var chunk in StructureChunker.Chunk(window.Text, blocks, options))
        {
            for (; next < inWindow.Count && inWindow[next].Start < chunk.End; next++)
                lowest = Math.Min(lowest, inWindow[next].Level);
            var path = headings.Where(heading => heading.Level < lowest).Select(heading => heading.Title).Concat(chunk.HeadingPath).ToArray();
            chunks.Add(Create(window.Text, chunk, path));
        }

        FirstHeading ??= inWindow.Select(heading => heading.Title).FirstOrDefault(title => title.Length is > 0 and <= 300);
        foreach (var heading in inWindow)
        {
            headings.RemoveAll(above => above.Level >= heading.Level);
            headings.Add((heading.Level, heading.Title));
        }

        offset += window.Text.Length;
        return chunks;
    }

    private NewChunk Create(string windowText, TextChunk chunk, string[] path)
    {
        var text = windowText[chunk.Start..chunk.End];
        var created = new NewChunk
        {
            Id = ChunkIdOf(documentId, version, ordinal),
            Ordinal = ordinal,
            Start = offset + chunk.Start,
            End = offset + chunk.End,
            Page = chunk.Page,
            HeadingPath = path,
            Text = text,
            ContentHash = SHA256.HashData(Encoding.UTF8.GetBytes(ChunkText.ForIndex(path, text))),
        };
        ordinal++;
        return created;
    }

    /// <summary>The same for every attempt (a UUID of version 8, our own scheme), so that an attempt repeated writes nothing twice.</summary>
    private static Guid ChunkIdOf(Guid documentId, int version, int ordinal)
    {
        Span<byte> input = stackalloc byte[24];
        documentId.TryWriteBytes(input, bigEndian: true, out _);
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(input[16..], version);
        System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(input[20..], ordinal);
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(input, hash);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x80);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash[..16], bigEndian: true);
    }

    private static string Title(string text, TextBlock block)
    {
        var line = text.AsSpan(block.Start, block.End - block.Start).Trim();
        var stop = line.IndexOf('\n');
        return (stop < 0 ? line : line[..stop]).TrimStart('#').TrimEnd("# \t\r").Trim().ToString().Replace('\u001f', ' ');
    }
}
