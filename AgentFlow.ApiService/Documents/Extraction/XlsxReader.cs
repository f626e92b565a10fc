using System.Globalization;
using System.Text;
using System.Xml;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>A workbook's sheets: each is a heading with its rows as a table; values as they are kept, dates as dates.</summary>
internal static class XlsxReader
{
    private const int MaxColumns = 1_000;
    private const int MaxSharedCharacters = 100_000_000;

    public static void Read(OfficeArchive archive, BlockWriter writer)
    {
        var strings = SharedStrings(archive);
        var dates = DateStyles(archive);
        var workbook = archive.MainPart("xl/workbook.xml");
        var relations = archive.Relations(workbook);
        var sheets = new List<(string Name, string Part)>();
        using (var reader = archive.Open(workbook))
        {
            while (OfficeArchive.Next(reader))
            {
                if (reader is { NodeType: XmlNodeType.Element, LocalName: "sheet" } && OfficeArchive.RelationOf(reader) is { } id
                    && relations.TryGetValue(id, out var part) && archive.Has(part))
                    sheets.Add((reader.GetAttribute("name") ?? "Sheet", part));
            }
        }

        foreach (var (name, part) in sheets)
        {
            writer.Heading(1, name);
            ReadSheet(archive, part, strings, dates, writer);
        }

        writer.Finish(archive.Info());
    }

    private static void ReadSheet(OfficeArchive archive, string part, List<string> strings, HashSet<int> dates, BlockWriter writer)
    {
        using var reader = archive.Open(part);
        var row = new List<string>();
        var value = new StringBuilder();
        var (type, style, column, inValue) = (string.Empty, -1, 0, false);
        while (OfficeArchive.Next(reader))
        {
            switch (reader.NodeType, reader.LocalName)
            {
                case (XmlNodeType.Element, "row"):
                    row.Clear();
                    break;
                case (XmlNodeType.Element, "c"):
                    value.Clear();
                    type = reader.GetAttribute("t") ?? string.Empty;
                    style = int.TryParse(reader.GetAttribute("s"), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : -1;
                    column = Column(reader.GetAttribute("r")) ?? row.Count;
                    if (reader.IsEmptyElement)
                        Put(row, column, string.Empty);
                    break;
                case (XmlNodeType.Element, "v" or "t"):
                    inValue = !reader.IsEmptyElement;
                    break;
                case (XmlNodeType.EndElement, "v" or "t"):
                    inValue = false;
                    break;
                case (XmlNodeType.EndElement, "c"):
                    Put(row, column, Show(type, value.ToString(), style, strings, dates));
                    break;
                case (XmlNodeType.EndElement, "row"):
                    writer.TableRow(row);
                    break;
                case (XmlNodeType.Text or XmlNodeType.SignificantWhitespace, _) when inValue:
                    value.Append(reader.Value);
                    break;
            }
        }
    }

    private static void Put(List<string> row, int column, string value)
    {
        if (column >= MaxColumns)
            return;
        while (row.Count < column)
            row.Add(string.Empty);
        row.Add(value);
    }

    private static string Show(string type, string value, int style, List<string> strings, HashSet<int> dates)
    {
        if (type == "s")
            return int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < strings.Count ? strings[index] : string.Empty;
        if (type == "b")
            return value == "1" ? "TRUE" : "FALSE";
        if (type.Length == 0 && dates.Contains(style) && double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var serial) && serial is >= 0 and < 2_958_466)
        {
            // Day 60 is 29 February 1900, which never was; dates before it are one day off everywhere.
            var date = new DateTime(1899, 12, 30, 0, 0, 0, DateTimeKind.Unspecified).AddDays(serial);
            return date.ToString(serial % 1 == 0 ? "yyyy-MM-dd" : "yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
        }

        return value;
    }

    private static List<string> SharedStrings(OfficeArchive archive)
    {
        var strings = new List<string>();
        if (!archive.Has("xl/sharedStrings.xml"))
            return strings;
        using var reader = archive.Open("xl/sharedStrings.xml");
        var item = new StringBuilder();
        var (inText, inPhonetic, total) = (false, false, 0L);
        while (OfficeArchive.Next(reader))
        {
            switch (reader.NodeType, reader.LocalName)
            {
                case (XmlNodeType.Element, "si"):
                    item.Clear();
                    if (reader.IsEmptyElement)
                        strings.Add(string.Empty);
                    break;
                case (XmlNodeType.Element, "t"):
                    inText = !reader.IsEmptyElement && !inPhonetic;
                    break;
                case (XmlNodeType.EndElement, "t"):
                    inText = false;
                    break;
                case (XmlNodeType.Element or XmlNodeType.EndElement, "rPh"):
                    inPhonetic = reader.NodeType == XmlNodeType.Element;
                    break;
                case (XmlNodeType.EndElement, "si"):
                    strings.Add(item.ToString());
                    total += item.Length;
                    if (total > MaxSharedCharacters)
                        throw new ExtractionFailedException("It is too large: its texts have more than 100,000,000 characters.");
                    break;
                case (XmlNodeType.Text or XmlNodeType.SignificantWhitespace, _) when inText:
                    item.Append(reader.Value);
                    break;
            }
        }

        return strings;
    }

    /// <summary>The cell styles that show a number as a date: built-in formats 14 to 22 and 45 to 47, and own ones with y or d.</summary>
    private static HashSet<int> DateStyles(OfficeArchive archive)
    {
        var dates = new HashSet<int>();
        if (!archive.Has("xl/styles.xml"))
            return dates;
        var own = new HashSet<int>();
        using var reader = archive.Open("xl/styles.xml");
        var (inFormats, index) = (false, 0);
        while (OfficeArchive.Next(reader))
        {
            if (reader.LocalName == "cellXfs")
                inFormats = reader.NodeType == XmlNodeType.Element;
            if (reader.NodeType != XmlNodeType.Element || !int.TryParse(reader.GetAttribute("numFmtId"), NumberStyles.None, CultureInfo.InvariantCulture, out var format))
                continue;
            if (reader.LocalName == "numFmt" && (reader.GetAttribute("formatCode") ?? string.Empty).AsSpan().IndexOfAny("ydYD") >= 0)
                own.Add(format);
            if (inFormats && reader.LocalName == "xf")
            {
                if (format is (>= 14 and <= 22) or (>= 45 and <= 47) || own.Contains(format))
                    dates.Add(index);
                index++;
            }
        }

        return dates;
    }

    /// <summary><c>BC12</c> is column 54, from 0.</summary>
    private static int? Column(string? reference)
    {
        var column = 0;
        var letters = 0;
        foreach (var character in reference ?? string.Empty)
        {
            if (character is < 'A' or > 'Z' || letters == 3)
                break;
            column = (column * 26) + character - 'A' + 1;
            letters++;
        }

        return letters == 0 ? null : column - 1;
    }
}
