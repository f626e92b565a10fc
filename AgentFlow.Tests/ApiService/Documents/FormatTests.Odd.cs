using System.Net;
using System.Text;
using AgentFlow.Contracts.Documents;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>What other programs write, beyond what the simple samples hold.</summary>
public sealed partial class FormatTests
{
    private const string Office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    private const string Strict = "http://purl.oclc.org/ooxml/officeDocument/relationships";

    private static readonly byte[] OddWord = Samples.Zip(
        ("_rels/.rels", $"<Relationships><Relationship Id=\"r1\" Type=\"{Office}/officeDocument\" Target=\"/word/document2.xml\"/></Relationships>"),
        ("word/footnotes.xml", "<w:footnotes xmlns:w=\"w\"><w:footnote w:type=\"separator\" w:id=\"0\"><w:p><w:r><w:t>---</w:t></w:r></w:p></w:footnote>"
            + "<w:footnote w:id=\"1\"><w:p><w:r><w:t>Measured in Oslo.</w:t></w:r></w:p></w:footnote></w:footnotes>"),
        ("word/document2.xml", """
            <w:document xmlns:w="w" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><w:body>
            <w:p><w:r><w:t>The tide</w:t></w:r><w:r><w:footnoteReference w:id="1"/></w:r><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>In the box.</w:t></w:r></w:p></w:txbxContent></mc:Choice><mc:Fallback><w:txbxContent><w:p><w:r><w:t>In the box.</w:t></w:r></w:p></w:txbxContent></mc:Fallback></mc:AlternateContent></w:r><w:r><w:t xml:space="preserve"> is non</w:t><w:noBreakHyphen/><w:t>stop.</w:t></w:r></w:p>
            <w:p><w:moveFrom><w:r><w:t>Moved words.</w:t></w:r></w:moveFrom><w:r><w:t>Kept.</w:t></w:r><w:del><w:r><w:delText>Deleted.</w:delText></w:r></w:del></w:p>
            <w:p/>
            <w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p><w:tbl><w:tr><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl><w:p/></w:tc><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr><w:p><w:r><w:t>c</w:t></w:r></w:p></w:tc></w:tr></w:tbl>
            </w:body></w:document>
            """));

    private static readonly byte[] OddSlides = Samples.Zip(
        ("ppt/presentation.xml", $"<p:presentation xmlns:p=\"p\" xmlns:r=\"{Strict}\"><p:sldIdLst><p:sldId r:id=\"r1\"/></p:sldIdLst></p:presentation>"),
        ("ppt/_rels/presentation.xml.rels", "<Relationships><Relationship Id=\"r1\" Target=\"slides/slide1.xml\"/></Relationships>"),
        ("ppt/slides/_rels/slide1.xml.rels", "<Relationships><Relationship Id=\"r1\" Target=\"../notesSlides/notesSlide1.xml\"/></Relationships>"),
        ("ppt/slides/slide1.xml", "<p:sld xmlns:p=\"p\" xmlns:a=\"a\"><p:sp><p:ph type=\"title\"/><a:p><a:r><a:t>Tides</a:t></a:r></a:p></p:sp><p:sp><p:ph type=\"sldNum\"/><a:p><a:fld><a:t>7</a:t></a:fld></a:p></p:sp></p:sld>"),
        ("ppt/notesSlides/notesSlide1.xml", "<p:notes xmlns:p=\"p\" xmlns:a=\"a\"><p:sp><p:ph type=\"body\"/><a:p><a:r><a:t>Say that the moon pulls.</a:t></a:r></a:p></p:sp></p:notes>"));

    private static readonly byte[] OddSheets = Samples.Zip(
        ("xl/workbook.xml", $"<workbook xmlns:r=\"{Strict}\"><sheets><sheet name=\"Seen\" r:id=\"r1\"/><sheet name=\"Kept away\" state=\"hidden\" r:id=\"r2\"/></sheets></workbook>"),
        ("xl/_rels/workbook.xml.rels", "<Relationships><Relationship Id=\"r1\" Target=\"/xl/worksheets/sheet1.xml\"/><Relationship Id=\"r2\" Target=\"worksheets/sheet2.xml\"/></Relationships>"),
        ("xl/worksheets/sheet1.xml", "<worksheet><sheetData><row><c r=\"A1\"><f>SUM(B1:B2)</f><v>12</v></c><c r=\"B1\" t=\"str\"><f>A1&amp;\" m\"</f><v>12 m</v></c><c r=\"C1\" t=\"e\"><v>#DIV/0!</v></c></row></sheetData><mergeCells><mergeCell ref=\"A1:B1\"/></mergeCells></worksheet>"),
        ("xl/worksheets/sheet2.xml", "<worksheet><sheetData><row><c t=\"inlineStr\"><is><t>secret tide</t></is></c></row></sheetData></worksheet>"));

    private const string Notebook = """
        {"cells": [
          {"cell_type": "markdown", "source": ["# Tides\n", "\n", "How *high* it comes.\n"]},
          {"cell_type": "code", "source": "height = 4\nprint(height)", "outputs": [
            {"output_type": "stream", "text": ["4\n"]},
            {"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo=", "text/plain": ["<Figure>"]}},
            {"output_type": "error", "ename": "ValueError", "evalue": "too high", "traceback": ["\u001b[0;31m"]}]},
          {"cell_type": "raw", "source": "As it is."}],
         "metadata": {"language_info": {"name": "python"}}, "nbformat": 4}
        """;

    public static TheoryData<string, byte[], string> Odd { get; } = new()
    {
        { "odd.docx", OddWord, "In the box.\n\nThe tide is non-stop.\n\nMeasured in Oslo.\n\nKept.\n\na b | c" },
        { "odd.pptx", OddSlides, "Tides\n\nSay that the moon pulls." },
        { "odd.xlsx", OddSheets, "Seen\n\n12 | 12 m | #DIV/0!\n\nKept away\n\nsecret tide" },
        { "tides.ipynb", Encoding.UTF8.GetBytes(Notebook), "# Tides\n\nHow *high* it comes.\n\nheight = 4\nprint(height)\n\n4\n\n<Figure>\nValueError: too high\n\nAs it is." },
        { "cut.ipynb", Encoding.UTF8.GetBytes("""{"cells": [{"cell_type": "markdown", "source": ["Half \ud83d of it, \ud83d\ude00 whole"]}], "metadata": {}, "nbformat": 4}"""), "Half \ufffd of it, \U0001F600 whole" },
        { "cut.json", Encoding.UTF8.GetBytes("""{"cut \uDC00": "first \ud83d, \ud83d\ude00", "path": "C:\\ud83d", "last": "\ud83d\ud83d"}"""), "cut \ufffd: first \ufffd, \U0001F600\n\npath: C:\\ud83d\n\nlast: \ufffd\ufffd" },
        { "page.html", Encoding1251("<meta charset=windows-1251><h1>Прилив</h1><p>Вода</p>"), "Прилив\n\nВода" },
        { "table.csv", CodePagesEncodingProvider.Instance.GetEncoding(932)!.GetBytes("港,高さ,説明\n横浜,2,潮は一日に二回満ちます\n神戸,3,雨の後は水が高くなります\n"), "港 | 高さ | 説明\n港: 横浜 | 高さ: 2 | 説明: 潮は一日に二回満ちます\n港: 神戸 | 高さ: 3 | 説明: 雨の後は水が高くなります" },
    };

    [Theory]
    [MemberData(nameof(Odd), DisableDiscoveryEnumeration = true)]
    public async Task Odd_files_are_stored_as(string name, byte[] content, string expected)
    {
        var client = await NewClientAsync();

        var document = await client.IngestAsync(name, content);

        Assert.Equal((DocumentStatus.Ready, null), (document.Status, document.FailureReason));
        Assert.Equal(expected, await client.TextAsync(document.Id));
        var passages = await client.ChunksAsync(document.Id);
        foreach (var passage in passages)
            Assert.Equal(expected[passage.Start..passage.End], passage.Text);
    }

    [Fact]
    public async Task A_notebooks_code_stands_under_its_heading()
    {
        var client = await NewClientAsync();
        var document = await client.IngestAsync("tides.ipynb", Notebook);
        Assert.Equal("Tides", document.Title);
        Assert.Equal(["Tides"], (await client.SearchAsync("print height"))[0].HeadingPath);

        var failed = await client.IngestAsync("list.ipynb", "[1, 2]");
        Assert.Equal((DocumentStatus.Failed, "It is damaged, or not what its name says."), (failed.Status, failed.FailureReason));
    }

    [Fact]
    public async Task A_type_that_is_not_taken_is_refused_with_those_that_are()
    {
        var client = await NewClientAsync();
        using var refused = await client.PostAsync(("letter.rtf", @"{\rtf1 Dear all}"u8.ToArray()));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, refused.StatusCode);
        Assert.Contains("notebooks (ipynb), Office files (docx, xlsx, pptx), PDF", await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private static byte[] Encoding1251(string text) => CodePagesEncodingProvider.Instance.GetEncoding(1251)!.GetBytes(text);
}
