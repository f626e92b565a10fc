namespace AgentFlow.Retrieval.Chunking;

/// <summary>
/// Blocks of Markdown by its lines: ATX and setext headings, fenced and indented code, lists by item, tables, paragraphs. It does not need
/// the inline grammar, and offsets stay those of the source.
/// </summary>
internal static class MarkdownReader
{
    private const int TabWidth = 4;

    public static List<TextBlock> Read(string text)
    {
        var reader = new Reader(text);
        foreach (var line in Lines.Of(text))
            reader.Take(line);
        reader.Close();
        return reader.Blocks;
    }

    private sealed class Reader(string text)
    {
        private BlockKind _kind;
        private int _start = -1;
        private int _end;
        private int _lines;
        private (char Mark, int Length) _fence;

        public List<TextBlock> Blocks { get; } = [];

        public void Take(Line line)
        {
            var content = line.Of(text);
            if (_fence.Length > 0)
            {
                _end = line.End;
                if (IsFence(content, out var closing) && closing.Mark == _fence.Mark && closing.Length >= _fence.Length
                    && content.Trim().TrimStart(_fence.Mark).IsEmpty)
                    Close();
                return;
            }

            if (content.IsWhiteSpace())
            {
                Close();
                return;
            }

            if (IsFence(content, out var fence))
            {
                Open(BlockKind.Code, line);
                _fence = fence;
                return;
            }

            var indent = Indent(content);
            var trimmed = content.Trim();
            if (indent < TabWidth && HeadingLevel(trimmed) is > 0 and var level)
            {
                Close();
                Blocks.Add(new TextBlock(BlockKind.Heading, line.Start, line.End, level));
            }
            else if (IsUnderline(trimmed) && _kind == BlockKind.Paragraph && _start >= 0 && _lines == 1)
            {
                Blocks.Add(new TextBlock(BlockKind.Heading, _start, line.End, trimmed[0] == '=' ? 1 : 2));
                _start = -1;
            }
            else if (IsListItem(trimmed) && (indent < TabWidth || _kind == BlockKind.ListItem))
            {
                Open(BlockKind.ListItem, line);
            }
            else if (trimmed[0] == '|' && (_start < 0 || _kind == BlockKind.Table))
            {
                Continue(BlockKind.Table, line);
            }
            else if (_start < 0 && indent >= TabWidth && !FollowsList())
            {
                Continue(BlockKind.Code, line);
            }
            else
            {
                Continue(_start >= 0 ? _kind : BlockKind.Paragraph, line);
            }
        }

        public void Close()
        {
            if (_start >= 0)
                Blocks.Add(new TextBlock(_kind, _start, _end));
            _start = -1;
            _fence = default;
        }

        private void Open(BlockKind kind, Line line)
        {
            Close();
            Continue(kind, line);
        }

        private void Continue(BlockKind kind, Line line)
        {
            if (_start < 0)
            {
                (_kind, _start, _lines) = (kind, line.Start, 0);
                if (kind != BlockKind.Code)
                    _start += line.Of(text).Length - line.Of(text).TrimStart().Length;
            }

            _end = line.End;
            _lines++;
        }

        private bool FollowsList() => Blocks.Count > 0 && Blocks[^1].Kind == BlockKind.ListItem;
    }

    private static int Indent(ReadOnlySpan<char> line)
    {
        var columns = 0;
        foreach (var c in line)
        {
            if (c == ' ')
                columns++;
            else if (c == '\t')
                columns += TabWidth;
            else
                break;
        }

        return columns;
    }

    private static int HeadingLevel(ReadOnlySpan<char> line)
    {
        var level = 0;
        while (level < line.Length && line[level] == '#')
            level++;
        return level is >= 1 and <= 6 && (level == line.Length || line[level] is ' ' or '\t') ? level : 0;
    }

    private static bool IsUnderline(ReadOnlySpan<char> line) =>
        line.Length >= 2 && line[0] is '=' or '-' && line.TrimStart(line[0]).IsEmpty;

    private static bool IsListItem(ReadOnlySpan<char> line)
    {
        if (line.Length >= 2 && line[0] is '-' or '*' or '+')
            return line.Length >= 2 && line[1] is ' ' or '\t';
        var digits = 0;
        while (digits < line.Length && char.IsAsciiDigit(line[digits]))
            digits++;
        return digits is >= 1 and <= 9 && digits + 1 < line.Length && line[digits] is '.' or ')' && line[digits + 1] is ' ' or '\t';
    }

    private static bool IsFence(ReadOnlySpan<char> line, out (char Mark, int Length) fence)
    {
        fence = default;
        var trimmed = line.TrimStart();
        if (trimmed.Length < 3 || trimmed[0] is not ('`' or '~'))
            return false;
        var length = trimmed.Length - trimmed.TrimStart(trimmed[0]).Length;
        fence = (trimmed[0], length);
        return length >= 3 && (trimmed[0] != '`' || !trimmed[length..].Contains('`'));
    }
}
