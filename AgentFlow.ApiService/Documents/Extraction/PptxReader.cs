using System.Text;
using System.Xml;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>A presentation's slides in their order: a slide is a page, its title a heading; its speaker's notes follow it.</summary>
internal static class PptxReader
{
    private const int MaxSlides = 5_000;

    public static void Read(OfficeArchive archive, BlockWriter writer)
    {
        var slides = Slides(archive);
        for (var i = 0; i < slides.Count; i++)
        {
            writer.Page = i + 1;
            writer.Progress = (double)i / slides.Count;
            ReadSlide(archive, slides[i], writer);
            if (archive.Relations(slides[i]).Values.FirstOrDefault(part => part.Contains("/notesSlide", StringComparison.Ordinal) && archive.Has(part)) is { } notes)
                ReadSlide(archive, notes, writer);
        }

        writer.Finish(archive.Info(slides.Count));
    }

    private static List<string> Slides(OfficeArchive archive)
    {
        var presentation = archive.MainPart("ppt/presentation.xml");
        var relations = archive.Relations(presentation);
        var slides = new List<string>();
        using var reader = archive.Open(presentation);
        while (OfficeArchive.Next(reader))
        {
            if (reader is not { NodeType: XmlNodeType.Element, LocalName: "sldId" })
                continue;
            var id = OfficeArchive.RelationOf(reader);
            if (id is not null && relations.TryGetValue(id, out var part) && archive.Has(part))
                slides.Add(part);
            if (slides.Count > MaxSlides)
                throw new ExtractionFailedException($"It is too large: it has more than {MaxSlides:N0} slides.");
        }

        return slides;
    }

    private static void ReadSlide(OfficeArchive archive, string part, BlockWriter writer)
    {
        using var reader = archive.Open(part);
        var paragraph = new StringBuilder();
        var row = new List<string>();
        var cell = new StringBuilder();
        var (isTitle, isFurniture, inText, inRow) = (false, false, false, false);
        while (OfficeArchive.Next(reader))
        {
            switch (reader.NodeType, reader.LocalName)
            {
                case (XmlNodeType.Element, "sp"):
                    (isTitle, isFurniture) = (false, false);
                    break;
                case (XmlNodeType.Element, "ph"):
                    isTitle = reader.GetAttribute("type") is "title" or "ctrTitle";
                    isFurniture = reader.GetAttribute("type") is "sldNum" or "dt" or "ftr" or "hdr";
                    break;
                case (XmlNodeType.Element, "t"):
                    inText = !reader.IsEmptyElement && !isFurniture;
                    break;
                case (XmlNodeType.EndElement, "t"):
                    inText = false;
                    break;
                case (XmlNodeType.Element, "br"):
                    paragraph.Append(' ');
                    break;
                case (XmlNodeType.Element, "tr"):
                    inRow = true;
                    row.Clear();
                    break;
                case (XmlNodeType.Element, "tc"):
                    cell.Clear();
                    break;
                case (XmlNodeType.EndElement, "tc"):
                    row.Add(cell.ToString());
                    break;
                case (XmlNodeType.EndElement, "tr"):
                    inRow = false;
                    writer.TableRow(row);
                    break;
                case (XmlNodeType.EndElement, "p") when inRow:
                    cell.Append(cell.Length > 0 ? " " : string.Empty).Append(paragraph);
                    paragraph.Clear();
                    break;
                case (XmlNodeType.EndElement, "p"):
                    if (isTitle)
                        writer.Heading(1, paragraph.ToString());
                    else
                        writer.Paragraph(paragraph.ToString());
                    paragraph.Clear();
                    break;
                case (XmlNodeType.Text or XmlNodeType.SignificantWhitespace or XmlNodeType.Whitespace, _) when inText:
                    paragraph.Append(reader.Value);
                    break;
            }
        }
    }
}
