using System.Diagnostics;
using System.Text;
using AgentFlow.Contracts.Documents;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>Every format through the whole service: what its stored text is, and how what is hostile or broken ends.</summary>
public sealed partial class FormatTests(ApiHost host) : IClassFixture<ApiHost>
{
    [Fact]
    public async Task Word_keeps_headings_lists_tables_and_properties()
    {
        var client = await NewClientAsync();

        var document = await client.IngestAsync("log.docx", Samples.Docx());

        Assert.Equal((DocumentStatus.Ready, null, "Ship's log"), (document.Status, document.FailureReason, document.Title));
        Assert.Equal("Stores\n\nThe hold carries forty barrels of lime juice.\n\n- rope\n\nport | Lisbon", await client.TextAsync(document.Id));
        Assert.Equal(["Stores"], (await client.SearchAsync("barrels of lime"))[0].HeadingPath);
    }

    /// <summary>The one with half of it is no text that could be stored.</summary>
    [Fact]
    public async Task A_long_title_ends_before_a_character_that_does_not_fit()
    {
        var client = await NewClientAsync();
        var start = new string('a', 299);

        var document = await client.IngestAsync("long.html", Encoding.UTF8.GetBytes($"<html><head><title>{start}\U0001F41D and more</title></head><body><p>Bees fly.</p></body></html>"));

        Assert.Equal((DocumentStatus.Ready, start), (document.Status, document.Title));
    }

    [Fact]
    public async Task Excel_shows_sheets_rows_and_dates()
    {
        var client = await NewClientAsync();

        var document = await client.IngestAsync("prices.xlsx", Samples.Xlsx());

        Assert.Equal((DocumentStatus.Ready, null), (document.Status, document.FailureReason));
        Assert.Equal("Prices\n\nitem | | 9.5\nsaffron | 2024-01-01", (await client.TextAsync(document.Id)).Replace("|  |", "| |", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Slides_are_pages_in_the_order_of_the_presentation()
    {
        var client = await NewClientAsync();

        var document = await client.IngestAsync("talk.pptx", Samples.Pptx());

        Assert.Equal((DocumentStatus.Ready, null, 2), (document.Status, document.FailureReason, document.Pages));
        Assert.Equal("First\n\nGulls cry over the harbour.\n\nSecond\n\nWhales sing in the deep.", await client.TextAsync(document.Id));
        Assert.Equal(2, (await client.SearchAsync("whales"))[0].Page);
    }

    [Fact]
    public async Task Pdf_passages_carry_their_page()
    {
        var client = await NewClientAsync();

        var document = await client.IngestAsync("book.pdf", Samples.Pdf(["The first page speaks of olives.", "The second page speaks of figs and dates."]));

        Assert.Equal((DocumentStatus.Ready, null, 2), (document.Status, document.FailureReason, document.Pages));
        var hit = (await client.SearchAsync("figs and dates"))[0];
        Assert.Equal(hit.Text, await client.TextAsync(document.Id, hit.Start, hit.End));
        Assert.Contains("figs", hit.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a.csv", "name;height\nEverest;8849\n\"K2; Chhogori\";8611\n", "name | height\nname: Everest | height: 8849\nname: K2; Chhogori | height: 8611")]
    [InlineData("a.json", """{"title": "Peaks", "list": [{"name": "Everest", "tags": ["high", "cold"]}]}""", "title: Peaks\n\nlist\n\nname: Everest\ntags: high\ntags: cold")]
    [InlineData("a.jsonl", "{\"a\": 1}\n{\"a\": 2}\n", "a: 1\n\na: 2")]
    [InlineData("a.html", "<h1>T</h1><ul><li>one</li><li>two</li></ul><table><tr><td>a</td><td>b</td></tr></table><pre>x\n y</pre>", "T\n\n- one\n- two\n\na | b\n\nx\n y")]
    [InlineData("a.cs", "class A\n{\n    int b;\n}\n", "class A\n{\n    int b;\n}\n")]
    public async Task Structured_text_is_stored_as(string name, string content, string expected)
    {
        var client = await NewClientAsync();

        var document = await client.IngestAsync(name, content);

        Assert.Equal((DocumentStatus.Ready, null), (document.Status, document.FailureReason));
        Assert.Equal(expected, await client.TextAsync(document.Id));
    }

    [Fact]
    public async Task Encodings_are_detected_and_zero_characters_removed()
    {
        var client = await NewClientAsync();
        const string Text = "Das Café öffnet früh; naïve Gäste zahlen 3 €.";

        foreach (var (name, bytes) in ((string, byte[])[])[
            ("utf8.txt", [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes(Text)]), ("utf16.txt", [0xFF, 0xFE, .. Encoding.Unicode.GetBytes(Text + " ")]),
            ("utf16be.txt", Encoding.BigEndianUnicode.GetBytes(Text + "  ")), ("latin.txt", Encoding.Latin1.GetBytes(Text.Replace("€", "EUR", StringComparison.Ordinal))),
            ("zeros.txt", Encoding.UTF8.GetBytes(Text + "\0\r\nend"))])
        {
            var document = await client.IngestAsync(name, bytes);
            Assert.Equal((DocumentStatus.Ready, null), (document.Status, document.FailureReason));
            Assert.StartsWith("Das Café öffnet früh; naïve Gäste zahlen 3 ", await client.TextAsync(document.Id), StringComparison.Ordinal);
        }

        Assert.Contains("\nend", await client.TextAsync((await client.SearchAsync("Café end"))[0].DocumentId), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("encrypted.pdf", "is encrypted")]
    [InlineData("scanned.pdf", "contains no text")]
    [InlineData("torn.pdf", "can not be read as a PDF")]
    [InlineData("locked.docx", "is encrypted")]
    [InlineData("torn.docx", "damaged")]
    [InlineData("nested.html", "nested")]
    [InlineData("broken.json", "not valid JSON")]
    [InlineData("entity.docx", "damaged")]
    public async Task Files_that_cannot_be_read_fail_with_a_reason(string name, string reason)
    {
        var client = await NewClientAsync();

        var document = await client.IngestAsync(name, Broken(name));

        Assert.Equal(DocumentStatus.Failed, document.Status);
        Assert.Contains(reason, document.FailureReason, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Bomb_is_a_failed_document_and_the_next_one_is_taken()
    {
        await using var small = await ApiHost.StartAsync(new() { ["Documents:MaxUnpackedBytes"] = "67108864" });
        var client = new DocumentClient(small.Admin);
        var bomb = Samples.Bomb(200);
        var started = Stopwatch.GetTimestamp();

        var document = await client.IngestAsync("bomb.docx", bomb);

        Assert.Equal(DocumentStatus.Failed, document.Status);
        Assert.Contains("too large", document.FailureReason, StringComparison.Ordinal);
        TestContext.Current.TestOutputHelper?.WriteLine($"Refused within {Stopwatch.GetElapsedTime(started).TotalSeconds:0.0} s.");
        Assert.Equal(DocumentStatus.Ready, (await client.IngestAsync("after.txt", "still here")).Status);
    }

    [Fact]
    public async Task Parser_that_is_kept_busy_is_ended_and_its_document_fails()
    {
        await using var strict = await ApiHost.StartAsync(new() { ["Documents:ExtractionCpuSeconds"] = "1" });
        var client = new DocumentClient(strict.Admin);

        var document = await client.IngestAsync("busy.html", string.Concat(Enumerable.Repeat("<div>", 100_000)));

        Assert.Equal(DocumentStatus.Failed, document.Status);
        Assert.Contains("takes too long", document.FailureReason, StringComparison.Ordinal);
    }

    private static byte[] Broken(string name) => name switch
    {
        "encrypted.pdf" => Samples.Pdf(["secret"], Samples.EncryptedTrailer),
        "scanned.pdf" => Samples.Pdf(["", ""]),
        "torn.pdf" => "%PDF-1.4\nnothing that belongs here"u8.ToArray(),
        "locked.docx" => [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1, .. new byte[600]],
        "torn.docx" => Samples.Docx()[..200],
        "nested.html" => Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("<div>", 2_000)) + "deep"),
        "broken.json" => "{\"a\": "u8.ToArray(),
        "entity.docx" => Samples.Zip(("word/document.xml", "<!DOCTYPE d [<!ENTITY a \"b\">]><d>&a;</d>")),
        _ => throw new ArgumentOutOfRangeException(nameof(name)),
    };

    private async Task<DocumentClient> NewClientAsync() => new(await host.RegisterAsync());
}
