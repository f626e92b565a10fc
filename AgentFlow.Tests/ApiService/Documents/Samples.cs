using System.Globalization;
using System.IO.Compression;
using System.Text;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>Small files of each format, made here byte by byte, so that the tests say what is in them.</summary>
internal static class Samples
{
    private const string W = "xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"";
    private const string R = "xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"";

    public static byte[] Zip(params (string Name, string Text)[] parts)
    {
        using var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, text) in parts)
            {
                using var stream = zip.CreateEntry(name, CompressionLevel.Optimal).Open();
                stream.Write(Encoding.UTF8.GetBytes(text));
            }
        }

        return memory.ToArray();
    }

    public static byte[] Docx() => Zip(
        ("word/styles.xml", $"<w:styles {W}><w:style w:styleId=\"H1\"><w:name w:val=\"heading 1\"/></w:style></w:styles>"),
        ("docProps/core.xml", "<c:coreProperties xmlns:c=\"c\" xmlns:dc=\"d\"><dc:title>Ship's log</dc:title><dc:creator>Ada</dc:creator></c:coreProperties>"),
        ("word/document.xml", $"""
            <w:document {W}><w:body>
            <w:p><w:pPr><w:pStyle w:val="H1"/></w:pPr><w:r><w:t>Stores</w:t></w:r></w:p>
            <w:p><w:r><w:t xml:space="preserve">The hold carries </w:t></w:r><w:r><w:t>forty barrels of lime juice.</w:t></w:r></w:p>
            <w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>rope</w:t></w:r></w:p>
            <w:tbl><w:tr><w:tc><w:p><w:r><w:t>port</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>Lisbon</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
            </w:body></w:document>
            """));

    public static byte[] Xlsx() => Zip(
        ("xl/workbook.xml", $"<workbook {R}><sheets><sheet name=\"Prices\" r:id=\"r1\"/></sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels", "<Relationships><Relationship Id=\"r1\" Target=\"worksheets/sheet1.xml\"/></Relationships>"),
        ("xl/sharedStrings.xml", "<sst><si><t>item</t></si><si><t>saffron</t></si></sst>"),
        ("xl/styles.xml", "<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>"),
        ("xl/worksheets/sheet1.xml", "<worksheet><sheetData><row><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"C1\"><v>9.5</v></c></row>"
            + "<row><c r=\"A2\" t=\"s\"><v>1</v></c><c r=\"B2\" s=\"1\"><v>45292</v></c></row></sheetData></worksheet>"));

    public static byte[] Pptx() => Zip(
        ("ppt/presentation.xml", $"<p:presentation xmlns:p=\"p\" {R}><p:sldIdLst><p:sldId r:id=\"r2\"/><p:sldId r:id=\"r1\"/></p:sldIdLst></p:presentation>"),
        ("ppt/_rels/presentation.xml.rels", "<Relationships><Relationship Id=\"r1\" Target=\"slides/slide1.xml\"/><Relationship Id=\"r2\" Target=\"slides/slide2.xml\"/></Relationships>"),
        ("ppt/slides/slide1.xml", Slide("Second", "Whales sing in the deep.")),
        ("ppt/slides/slide2.xml", Slide("First", "Gulls cry over the harbour.")));

    /// <summary>A PDF of the given pages, each one line of Helvetica.</summary>
    /// <param name="pages">ASCII without brackets.</param>
    /// <param name="trailer">Added to the trailer dictionary.</param>
    public static byte[] Pdf(IReadOnlyList<string> pages, string trailer = "")
    {
        var objects = new List<string>
        {
            "<< /Type /Catalog /Pages 2 0 R >>",
            $"<< /Type /Pages /Kids [{string.Join(' ', pages.Select((_, i) => $"{4 + (i * 2)} 0 R"))}] /Count {pages.Count} >>",
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        };
        foreach (var text in pages)
        {
            var content = text.Length == 0 ? "" : $"BT /F1 12 Tf 72 700 Td ({text}) Tj ET";
            objects.Add($"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents {objects.Count + 2} 0 R >>");
            objects.Add($"<< /Length {content.Length} >>\nstream\n{content}\nendstream");
        }

        var pdf = new StringBuilder("%PDF-1.4\n");
        var offsets = new List<int>();
        for (var i = 0; i < objects.Count; i++)
        {
            offsets.Add(pdf.Length);
            pdf.Append(CultureInfo.InvariantCulture, $"{i + 1} 0 obj\n{objects[i]}\nendobj\n");
        }

        var start = pdf.Length;
        pdf.Append(CultureInfo.InvariantCulture, $"xref\n0 {objects.Count + 1}\n0000000000 65535 f \n");
        foreach (var offset in offsets)
            pdf.Append(CultureInfo.InvariantCulture, $"{offset:D10} 00000 n \n");
        pdf.Append(CultureInfo.InvariantCulture, $"trailer\n<< /Size {objects.Count + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n");
        return Encoding.ASCII.GetBytes(pdf.ToString());
    }

    /// <summary>A trailer that asks for a password nobody has.</summary>
    public static string EncryptedTrailer { get; } =
        $"/ID [<{new string('a', 32)}> <{new string('a', 32)}>] /Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <{new string('1', 64)}> /U <{new string('2', 64)}> >>";

    /// <summary>A Word file whose body unpacks to this many megabytes of one letter.</summary>
    public static byte[] Bomb(int megabytes)
    {
        using var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            using var stream = zip.CreateEntry("word/document.xml", CompressionLevel.Optimal).Open();
            stream.Write(Encoding.UTF8.GetBytes($"<w:document {W}><w:body><w:p><w:r><w:t>"));
            var block = new byte[1024 * 1024];
            Array.Fill(block, (byte)'a');
            for (var i = 0; i < megabytes; i++)
                stream.Write(block);
            stream.Write("</w:t></w:r></w:p></w:body></w:document>"u8);
        }

        return memory.ToArray();
    }

    private static string Slide(string title, string text) => $"""
        <p:sld xmlns:p="p" xmlns:a="a"><p:sp><p:nvSpPr><p:nvPr><p:ph type="title"/></p:nvPr></p:nvSpPr><a:p><a:r><a:t>{title}</a:t></a:r></a:p></p:sp>
        <p:sp><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:sp></p:sld>
        """;
}
