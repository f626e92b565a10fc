using AgentFlow.Retrieval.Text;

namespace AgentFlow.Retrieval.Chunking;

/// <summary>
/// Cuts a text into passages along its structure: a heading starts a passage, blocks are kept whole, and only a block that is too long is cut,
/// between sentences (lines in code and tables), else between words. Passages don't overlap and, joined with the white space between
/// them, are the text. Pure; linear in the text's length.
/// </summary>
public static class StructureChunker
{
    /// <summary>A single word of more characters is cut; nothing that people write is that long.</summary>
    private const int MaxWord = 8_000;

    public static IReadOnlyList<TextChunk> Chunk(string text, TextFormat format, ChunkingOptions options) =>
        Chunk(text, StructureReader.Read(text, format), options);

    /// <param name="blocks">In order, not overlapping; what lies between them is left out.</param>
    public static IReadOnlyList<TextChunk> Chunk(string text, IReadOnlyList<TextBlock> blocks, ChunkingOptions options)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(blocks);
        ArgumentNullException.ThrowIfNull(options);
        if (options.MaxCharacters < options.TargetCharacters)
            throw new ArgumentException("MaxCharacters is below TargetCharacters.", nameof(options));
        var builder = new Builder(text, options);
        foreach (var block in blocks)
            builder.Add(block);
        return builder.Finish();
    }

    private sealed class Builder(string text, ChunkingOptions options)
    {
        private readonly List<TextChunk> _chunks = [];
        private readonly List<(int Level, string Title)> _headings = [];
        private int _start = -1;
        private int _end;
        private int? _page;
        private IReadOnlyList<string> _path = [];
        private bool _holdsOnlyHeadings;

        public void Add(TextBlock block)
        {
            var (start, end) = Trim(text, block.Start, block.End);
            if (start == end)
                return;

            // A passage says on which page it is, so it ends with its page.
            if (_start >= 0 && block.Page != _page)
                Close();
            if (block.Kind == BlockKind.Heading)
            {
                if (!_holdsOnlyHeadings || IsFull(end))
                    Close();
                while (_headings.Count > 0 && _headings[^1].Level >= block.Level)
                    _headings.RemoveAt(_headings.Count - 1);
                _headings.Add((block.Level, Title(start, end)));
                var opens = _start < 0;
                Take(start, end, block.Page);
                _path = [.. _headings.Select(heading => heading.Title)];
                _holdsOnlyHeadings = opens || _holdsOnlyHeadings;
                return;
            }

            if (IsFull(end) && !(_holdsOnlyHeadings && end - _start <= options.MaxCharacters))
                CloseUnlessHeading();
            if (end - (_start < 0 ? start : _start) <= options.MaxCharacters)
                Take(start, end, block.Page);
            else
                TakeInPieces(start, end, block);
        }

        public List<TextChunk> Finish()
        {
            Close();
            return _chunks;
        }

        private bool IsFull(int end) => _start >= 0 && end - _start > options.TargetCharacters;

        /// <summary>A heading stays with the first piece of what it stands over.</summary>
        private void CloseUnlessHeading()
        {
            if (!_holdsOnlyHeadings)
                Close();
        }

        private void TakeInPieces(int start, int end, TextBlock block)
        {
            foreach (var (pieceStart, pieceEnd) in Pieces(start, end, block.Kind))
            {
                if (_start >= 0 && pieceEnd - _start > options.TargetCharacters && (!_holdsOnlyHeadings || pieceEnd - _start > options.MaxCharacters))
                    Close();
                Take(pieceStart, pieceEnd, block.Page);
            }
        }

        /// <summary>Sentences or lines; those that are too long by themselves in runs of words.</summary>
        private IEnumerable<(int Start, int End)> Pieces(int start, int end, BlockKind kind)
        {
            var pieces = kind is BlockKind.Code or BlockKind.Table
                ? Lines.Of(text[start..end]).Select(line => Trim(text, start + line.Start, start + line.End, isCode: true))
                : SentenceSplitter.Split(text, start, end).Select(sentence => (sentence.Start, sentence.End));
            foreach (var (pieceStart, pieceEnd) in pieces)
            {
                var from = pieceStart;
                while (pieceEnd - from > options.MaxCharacters)
                {
                    var cut = CutBefore(from, pieceEnd);
                    if (cut >= pieceEnd)
                        break;
                    yield return Trim(text, from, cut);
                    from = Trim(text, cut, pieceEnd).Start;
                }

                if (from < pieceEnd)
                    yield return (from, pieceEnd);
            }
        }

        /// <summary>The last place between two words within the target, or behind the word that is longer than that.</summary>
        private int CutBefore(int from, int end)
        {
            var limit = from + options.TargetCharacters;
            for (var i = limit; i > from; i--)
            {
                if (WordBreaks.IsBetweenWords(text, i))
                    return i;
            }

            var hardLimit = Math.Min(end, from + MaxWord);
            for (var i = limit + 1; i < hardLimit; i++)
            {
                if (WordBreaks.IsBetweenWords(text, i))
                    return i;
            }

            return hardLimit < end && char.IsLowSurrogate(text[hardLimit]) ? hardLimit - 1 : hardLimit;
        }

        private void Take(int start, int end, int? page)
        {
            if (_start < 0)
            {
                (_start, _page) = (start, page);
                _path = [.. _headings.Select(heading => heading.Title)];
            }

            _end = end;
            _holdsOnlyHeadings = false;
        }

        private void Close()
        {
            if (_start >= 0)
                _chunks.Add(new TextChunk(_chunks.Count, _start, _end, _path, _page));
            _start = -1;
            _holdsOnlyHeadings = false;
        }

        private string Title(int start, int end)
        {
            var line = text.AsSpan(start, end - start);
            var stop = line.IndexOf('\n');
            return (stop < 0 ? line : line[..stop]).TrimStart('#').TrimEnd("# \t\r").Trim().ToString();
        }
    }

    private static (int Start, int End) Trim(string text, int start, int end, bool isCode = false)
    {
        while (start < end && char.IsWhiteSpace(text[start]) && !(isCode && text[start] is ' ' or '\t'))
            start++;
        while (end > start && char.IsWhiteSpace(text[end - 1]))
            end--;
        return end < start ? (start, start) : (start, end);
    }
}

internal static class WordBreaks
{
    /// <summary>
    /// True when a cut at <paramref name="i"/> goes through no word: beside white space, or between two characters of a script without
    /// spaces (where every character but a mark may start a word).
    /// </summary>
    public static bool IsBetweenWords(string text, int i)
    {
        if (i <= 0 || i >= text.Length)
            return true;
        var (before, after) = (text[i - 1], text[i]);
        if (char.IsWhiteSpace(before) || char.IsWhiteSpace(after))
            return true;
        if (char.IsLowSurrogate(after))
            return false;
        var (left, right) = (Scripts.Of(before), Scripts.Of(after));
        return (left == CharClass.Ideograph && right is CharClass.Ideograph or CharClass.Unspaced)
            || (left == CharClass.Unspaced && right == CharClass.Ideograph)
            || (left == CharClass.Unspaced && right == CharClass.Unspaced && char.IsLetter(after));
    }
}
