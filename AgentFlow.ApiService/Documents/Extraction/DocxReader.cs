using System.Globalization;
using System.Text;
using System.Xml;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>A Word document's body: headings by style or outline level, paragraphs, lists and tables, in their order.</summary>
internal static class DocxReader
{
    private const string Body = "word/document.xml";

    public static void Read(OfficeArchive archive, BlockWriter writer)
    {
        var levels = HeadingStyles(archive);
        using var reader = archive.Open(Body);
        var state = new State(writer, levels);
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

    /// <summary>Style id to heading level, 1 to 6: styles that have an outline level, or are called Title or heading n.</summary>
    private static Dictionary<string, int> HeadingStyles(OfficeArchive archive)
    {
        var levels = new Dictionary<string, int>(StringComparer.Ordinal);
        if (!archive.Has("word/styles.xml"))
            return levels;
        using var reader = archive.Open("word/styles.xml");
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

    private sealed class State(BlockWriter writer, Dictionary<string, int> levels)
    {
        private readonly StringBuilder paragraph = new();
        private readonly StringBuilder cell = new();
        private readonly List<string> row = [];
        private int tables;
        private int? level;
        private bool isListItem;
        private bool inText;

        public void Start(XmlReader reader)
        {
            switch (reader.LocalName)
            {
                case "t":
                    inText = !reader.IsEmptyElement;
                    break;
                case "tab":
                case "br" or "cr":
                    paragraph.Append(' ');
                    break;
                case "p":
                    paragraph.Clear();
                    (level, isListItem) = (null, false);
                    break;
                case "pStyle" when Attribute(reader, "val") is { } style && levels.TryGetValue(style, out var byStyle):
                    level = byStyle;
                    break;
                case "pStyle" when Attribute(reader, "val") is { } unknown && unknown.StartsWith("Heading", StringComparison.OrdinalIgnoreCase) && Number(unknown[7..]) is { } number and >= 1:
                    level = Math.Min(6, number);
                    break;
                case "outlineLvl" when Number(Attribute(reader, "val")) is { } outline and < 9:
                    level ??= Math.Min(6, outline + 1);
                    break;
                case "numPr":
                    isListItem = true;
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
            }
        }

        public void Text(string value)
        {
            if (inText)
                paragraph.Append(value);
        }

        public void End(string name)
        {
            switch (name)
            {
                case "t":
                    inText = false;
                    break;
                case "p" when tables > 0:
                    cell.Append(cell.Length > 0 ? " " : string.Empty).Append(paragraph);
                    break;
                case "p":
                    EndParagraph();
                    break;
                case "tc" when tables == 1:
                    row.Add(cell.ToString());
                    break;
                case "tr" when tables == 1:
                    writer.TableRow(row);
                    break;
                case "tbl":
                    tables = Math.Max(0, tables - 1);
                    break;
            }
        }

        private void EndParagraph()
        {
            var text = paragraph.ToString();
            if (level is { } heading)
                writer.Heading(heading, text);
            else if (isListItem)
                writer.ListItem(text);
            else
                writer.Paragraph(text);
            paragraph.Clear();
        }
    }
}
