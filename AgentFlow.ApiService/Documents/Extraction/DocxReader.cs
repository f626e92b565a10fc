using System.Globalization;
using System.Text;
using System.Xml;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>A Word document's body: headings by style or outline level, paragraphs, lists and tables, in their order; notes follow what refers to them.</summary>
internal static class DocxReader
{
    /// <summary>UTF-16 units of all footnotes and endnotes, which are kept while the body is read.</summary>
    private const int MaxNotes = 10_000_000;

    public static void Read(OfficeArchive archive, BlockWriter writer)
    {
        var body = archive.MainPart("word/document.xml");
        var folder = OfficeArchive.FolderOf(body);
        var notes = new Dictionary<string, string>(StringComparer.Ordinal);
        ReadNotes(archive, $"{folder}/footnotes.xml", "footnote", notes);
        ReadNotes(archive, $"{folder}/endnotes.xml", "endnote", notes);
        var state = new State(writer, HeadingStyles(archive, $"{folder}/styles.xml"), notes);
        using var reader = archive.Open(body);
        while (OfficeArchive.Next(reader))
        {
            if (reader.NodeType == XmlNodeType.Element)
                state.Start(reader);
            else if (reader.NodeType == XmlNodeType.EndElement)
                state.End(reader.LocalName);
            else if (reader.NodeType is XmlNodeType.Text or XmlNodeType.SignificantWhitespace or XmlNodeType.CDATA or XmlNodeType.Whitespace)
                state.Text(reader.Value);
        }

        writer.Finish(archive.Info());
    }

    /// <summary>Notes by kind and id, as the body refers to them.</summary>
    private static void ReadNotes(OfficeArchive archive, string part, string kind, Dictionary<string, string> notes)
    {
        if (!archive.Has(part))
            return;
        using var reader = archive.Open(part);
        var (note, id, inText, total) = (new StringBuilder(), string.Empty, false, notes.Values.Sum(text => text.Length));
        while (OfficeArchive.Next(reader))
        {
            if (reader.NodeType == XmlNodeType.Element && reader.LocalName == kind)
                (id, note) = (Attribute(reader, "type") is null ? Attribute(reader, "id") ?? string.Empty : string.Empty, note.Clear());
            else if (reader is { NodeType: XmlNodeType.Element, LocalName: "t" })
                inText = !reader.IsEmptyElement;
            else if (reader is { NodeType: XmlNodeType.EndElement, LocalName: "t" })
                inText = false;
            else if (reader is { NodeType: XmlNodeType.EndElement, LocalName: "p" })
                note.Append(' ');
            else if (reader.NodeType == XmlNodeType.EndElement && reader.LocalName == kind && id.Length > 0 && (total += note.Length) <= MaxNotes)
                notes[kind + id] = note.ToString();
            else if (inText && reader.NodeType is XmlNodeType.Text or XmlNodeType.SignificantWhitespace or XmlNodeType.CDATA or XmlNodeType.Whitespace)
                note.Append(reader.Value);
        }
    }

    /// <summary>Style id to heading level, 1 to 6: styles that have an outline level, or are called Title or heading n.</summary>
    private static Dictionary<string, int> HeadingStyles(OfficeArchive archive, string part)
    {
        var levels = new Dictionary<string, int>(StringComparer.Ordinal);
        if (!archive.Has(part))
            return levels;
        using var reader = archive.Open(part);
        string? style = null;
        while (OfficeArchive.Next(reader))
        {
            if (reader.NodeType != XmlNodeType.Element)
                continue;
            if (reader.LocalName == "style")
                style = Attribute(reader, "styleId");
            else if (style is not null && reader.LocalName == "name" && LevelOf(Attribute(reader, "val")) is { } named)
                levels[style] = named;
            else if (style is not null && reader.LocalName == "outlineLvl" && Number(Attribute(reader, "val")) is { } outline and < 9)
                levels.TryAdd(style, Math.Min(6, outline + 1));
        }

        return levels;
    }

    private static int? LevelOf(string? styleName)
    {
        if (styleName is null)
            return null;
        if (styleName.Equals("Title", StringComparison.OrdinalIgnoreCase))
            return 1;
        return styleName.StartsWith("heading ", StringComparison.OrdinalIgnoreCase) && Number(styleName["heading ".Length..]) is { } level and >= 1 ? Math.Min(6, level) : null;
    }

    private static int? Number(string? text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static string? Attribute(XmlReader reader, string name)
    {
        for (var found = reader.MoveToFirstAttribute(); found; found = reader.MoveToNextAttribute())
        {
            if (reader.LocalName == name)
            {
                var value = reader.Value;
                reader.MoveToElement();
                return value;
            }
        }

        reader.MoveToElement();
        return null;
    }

    private sealed class State(BlockWriter writer, Dictionary<string, int> levels, Dictionary<string, string> notes)
    {
        private readonly Stack<Paragraph> open = new();
        private readonly List<string> pending = [];
        private readonly StringBuilder cell = new();
        private readonly List<string> row = [];
        private int tables;
        private bool inText;

        /// <summary>One that is begun: a text box has paragraphs inside the paragraph that it is anchored to.</summary>
        private sealed class Paragraph
        {
            public StringBuilder Text { get; } = new();

            public int? Level { get; set; }

            public bool IsListItem { get; set; }
        }

        public void Start(XmlReader reader)
        {
            switch (reader.LocalName)
            {
                case "t":
                    inText = !reader.IsEmptyElement;
                    break;
                case "tab" or "br" or "cr":
                    Append(" ");
                    break;
                case "noBreakHyphen":
                    Append("-");
                    break;
                case "footnoteReference" or "endnoteReference":
                    if (notes.TryGetValue(reader.LocalName[..^"Reference".Length] + Attribute(reader, "id"), out var note))
                        pending.Add(note);
                    break;
                case "p" when !reader.IsEmptyElement:
                    open.Push(new Paragraph());
                    break;
                case "tbl":
                    tables++;
                    break;
                case "tr" when tables == 1:
                    row.Clear();
                    break;
                case "tc" when tables == 1:
                    cell.Clear();
                    break;
                default:
                    if (open.TryPeek(out var paragraph))
                        Format(reader, paragraph);
                    break;
            }
        }

        public void Text(string value)
        {
            if (inText)
                Append(value);
        }

        public void End(string name)
        {
            switch (name)
            {
                case "t":
                    inText = false;
                    break;
                case "p" when open.TryPop(out var paragraph):
                    EndParagraph(paragraph);
                    break;
                case "tc" when tables == 1:
                    row.Add(cell.ToString());
                    break;
                case "tr" when tables == 1:
                    writer.TableRow(row);
                    break;
                case "tbl":
                    tables = Math.Max(0, tables - 1);
                    WriteNotes();
                    break;
            }
        }

        private void Format(XmlReader reader, Paragraph paragraph)
        {
            switch (reader.LocalName)
            {
                case "pStyle" when Attribute(reader, "val") is { } style && levels.TryGetValue(style, out var byStyle):
                    paragraph.Level = byStyle;
                    break;
                case "pStyle" when Attribute(reader, "val") is { } unknown && unknown.StartsWith("Heading", StringComparison.OrdinalIgnoreCase) && Number(unknown[7..]) is { } number and >= 1:
                    paragraph.Level = Math.Min(6, number);
                    break;
                case "outlineLvl" when Number(Attribute(reader, "val")) is { } outline and < 9:
                    paragraph.Level ??= Math.Min(6, outline + 1);
                    break;
                case "numPr":
                    paragraph.IsListItem = true;
                    break;
            }
        }

        private void Append(string text)
        {
            if (open.TryPeek(out var paragraph))
                paragraph.Text.Append(text);
        }

        private void EndParagraph(Paragraph paragraph)
        {
            var text = paragraph.Text.ToString();
            if (tables > 0)
            {
                cell.Append(cell.Length > 0 ? " " : string.Empty).Append(text);
                return;
            }

            if (paragraph.Level is { } heading)
                writer.Heading(heading, text);
            else if (paragraph.IsListItem)
                writer.ListItem(text);
            else
                writer.Paragraph(text);
            if (open.Count == 0)
                WriteNotes();
        }

        private void WriteNotes()
        {
            if (tables > 0)
                return;
            foreach (var note in pending)
                writer.Paragraph(note);
            pending.Clear();
        }
    }
}
