using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>Rows 33 to 38 and 53 of the bad-input matrix: names, forms, types, archives and PDFs made to harm, and addresses to fetch.</summary>
public sealed class HostileFileTests(HostileFileTests.Urls urls) : IClassFixture<HostileFileTests.Urls>
{
    private const string Form = "multipart/form-data; boundary=b";

    private readonly ApiHost host = urls.Host;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("filename=\"../../x.txt\"", "x.txt")]
    [InlineData("filename=\"/etc/x.txt\"", "x.txt")]
    [InlineData("filename=\"..\\\\..\\\\x.txt\"", "x.txt")]
    [InlineData("filename=\"a%0d%0aSet-Cookie: b.txt\"", "a%0d%0aSet-Cookie_ b.txt")]
    [InlineData("filename=\"plain.txt\"; filename*=UTF-8''%2e%2e%2f%E2%80%AEgpj.txt", "gpj.txt")]
    [InlineData("filename=\"CON.txt\"", "_CON.txt")]
    [InlineData("filename=\".htaccess\"", "htaccess")]
    [InlineData("filename=\"../../.htaccess\"", "htaccess")]
    [InlineData("filename=\"..\\\\\"", "document")]
    [InlineData("filename=\"CON\"", "_CON")]
    [InlineData("filename=\"a\u0000b.txt\"", "ab.txt")]
    [InlineData("filename=\"x.txt\u0000.md\"", "x.txt.md")]
    [InlineData("filename=\"invoice\u202Etxt.md\"", "invoicetxt.md")]
    [InlineData("filename=\"fine.txt\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b%3D1.txt", "aSet-Cookie_ b=1.txt")]
    [InlineData("filename*=UTF-8''%00%2F%2e%2e%2Fetc%2Fpasswd%00", "passwd")]
    public async Task Row33_names_are_shown_cleaned(string disposition, string expected)
    {
        using var response = await SendAsync(Part($"form-data; name=\"file\"; {disposition}", $"Words under the odd name {disposition.Replace('\0', '0')}."));

        Assert.True(response.StatusCode == HttpStatusCode.Created, await response.Content.ReadAsStringAsync(Ct));
        var item = Assert.Single((await response.Content.ReadFromJsonAsync<UploadResponse>(ContractJson.Options, Ct))!.Items);
        Assert.Equal(expected, item.Name);
        Assert.Equal(7, item.Id!.Value.Value.Version);
        var client = new DocumentClient(host.Admin);
        Assert.Equal((expected, DocumentStatus.Ready), await client.FinishedAsync(item.Id!.Value) is var stored ? (stored.Name, stored.Status) : default);
        using var download = await client.Http.GetAsync($"/api/documents/{item.Id}/content", Ct);
        Assert.Equal(("attachment", expected), (download.Content.Headers.ContentDisposition!.DispositionType, download.Content.Headers.ContentDisposition.FileNameStar));
        Assert.False(download.Headers.Contains("Set-Cookie"));
    }

    /// <summary>Originals are rows, and a parser's copy has a name of ours in a folder of ours.</summary>
    [Fact]
    public async Task Row33_no_name_becomes_a_file()
    {
        var mark = $"hostile-{Guid.NewGuid():N}";
        string[] folders = ["/", "/etc", "/tmp", "/var", Path.GetTempPath(), Directory.GetCurrentDirectory(), Path.Combine(Directory.GetCurrentDirectory(), ".."), AppContext.BaseDirectory];
        var client = new DocumentClient(await host.RegisterAsync());
        foreach (var (name, i) in ((string[])["../{0}.csv", "/tmp/{0}.csv", "/{0}.txt", "/etc/{0}.txt", "../../../../../../{0}.txt", "..\\..\\{0}.txt", "C:\\{0}.txt", "%2e%2e%2f{0}.txt"]).Select((name, i) => (name, i)))
            Assert.Equal(DocumentStatus.Ready, (await client.IngestAsync(name.Replace("{0}", mark, StringComparison.Ordinal), $"name;value\nsalt;{i}\n")).Status);

        Assert.DoesNotContain(folders.SelectMany(folder => Directory.EnumerateFileSystemEntries(folder, "*hostile-*")), file => file.Contains(mark, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("POST", "/api/documents")]
    [InlineData("PUT", "/api/documents/{id}/content")]
    public async Task Row34_and_35_forms_that_are_none_are_400_and_leave_nothing(string method, string path)
    {
        const string Fine = "form-data; name=\"file\"; filename=\"a.txt\"";
        var user = await host.RegisterAsync();
        var client = new DocumentClient(user);
        var before = await client.IngestAsync("before.txt", "What was there before.");
        foreach (var (body, type) in ((string, string)[])[
            (Part(Fine, "x"), "multipart/form-data"),
            (Part(Fine, "x"), "multipart/form-data; boundary="),
            (Part(Fine, "x"), "multipart/form-data; boundary=\"\""),
            (Part(Fine, "x").Replace("--b", "--" + new string('b', 200), StringComparison.Ordinal), $"multipart/form-data; boundary={new string('b', 200)}"),
            (Part(Fine, "cut off")[..^9], Form),
            (Part(Fine, "x")[..40], Form),
            ("", Form),
            ("--b--\r\n", Form),
            ("no form at all", Form),
            (Part(Fine + string.Concat(Enumerable.Range(0, 20).Select(i => $"\r\nX-Header-{i}: 1")), "x"), Form),
            (Part($"{Fine}\r\nX-Long: {new string('x', 20_000)}", "x"), Form),
            (Part("form-data; name=\"file\"; filename=\"a\r\nSet-Cookie: b=1.txt\"", "x"), Form),
            (Part(Fine, ""), Form),
            (Part("form-data; name=\"file\"; filename=\"\"", "x"), Form)])
        {
            using var response = await SendAsync(body, type, client.Http, method, path.Replace("{id}", before.Id.ToString(), StringComparison.Ordinal));
            var answer = await response.Content.ReadAsStringAsync(Ct);
            Assert.True(response.StatusCode == HttpStatusCode.BadRequest, $"{response.StatusCode} {answer} for {type}: {body[..Math.Min(120, body.Length)]}");
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
            Assert.DoesNotContain("Exception", answer, StringComparison.Ordinal);
        }

        Assert.Equal("What was there before.", await client.TextAsync(before.Id));
        Assert.Equal([before.Id], (await client.Http.GetFromJsonAsync<Page<DocumentSummary>>("/api/documents", ContractJson.Options, Ct))!.Items.Select(document => document.Id));
        Assert.Equal(1, await Sql.ScalarAsync<long>(host.ConnectionString, $"select count(*) from agentflow_api.document_originals where owner_id = '{user.Id}'"));
    }

    [Theory]
    [InlineData("page.pdf", "<html><!-- %PDF-1.7 --><script>alert(1)</script></html>")]
    [InlineData("both.docx", "PK\u0003\u0004%PDF-1.7 both at once")]
    [InlineData("picture.svg", "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")]
    [InlineData("data.csv", "<html><body>no table</body></html>")]
    public async Task Row36_files_that_are_not_what_they_say_are_415(string name, string content)
    {
        using var response = await new DocumentClient(host.Admin).PostAsync((name, Encoding.Latin1.GetBytes(content)));

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Theory]
    [InlineData("nested", "damaged")]
    [InlineData("many", "too large")]
    [InlineData("million", "too large")]
    [InlineData("liar", "too large")]
    [InlineData("archive in a part", "damaged")]
    [InlineData("one part a thousand times", "too large")]
    [InlineData("link", "damaged")]
    public async Task Row37_archives_made_to_harm_are_failed_documents(string kind, string reason)
    {
        var document = await new DocumentClient(await host.RegisterAsync()).IngestAsync(kind.StartsWith("one", StringComparison.Ordinal) ? "a.xlsx" : "a.docx", Archive(kind));

        Assert.Equal(DocumentStatus.Failed, document.Status);
        Assert.Contains(reason, document.FailureReason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("circle")]
    [InlineData("xref")]
    [InlineData("count")]
    [InlineData("stream")]
    [InlineData("packed")]
    [InlineData("pages")]
    [InlineData("deep")]
    [InlineData("form")]
    public async Task Row38_pdfs_made_to_harm_end_and_leave_the_service_as_it_was(string kind)
    {
        var client = new DocumentClient(await host.RegisterAsync());

        var document = await client.IngestAsync($"{kind}.pdf", HarmfulPdf(kind));

        Assert.True(document.Status == DocumentStatus.Ready || document.FailureReason is { Length: > 0 }, document.Status.ToString());
        Assert.Equal(DocumentStatus.Ready, (await client.IngestAsync("after.txt", $"Still here after {kind}.")).Status);
    }

    [Fact]
    public async Task Row38_scripts_and_launch_actions_of_a_pdf_are_not_its_text()
    {
        var client = new DocumentClient(await host.RegisterAsync());
        var pdf = Encoding.ASCII.GetString(Samples.Pdf(["A quiet page."])).Replace(
            "/Type /Catalog", "/Type /Catalog /OpenAction << /S /Launch /F (/bin/sh) >> /AA << /WC << /S /JavaScript /JS (app.alert\\(1\\)) >> >>", StringComparison.Ordinal);

        var document = await client.IngestAsync("active.pdf", Encoding.ASCII.GetBytes(pdf));

        Assert.Equal((DocumentStatus.Ready, "A quiet page."), (document.Status, (await client.TextAsync(document.Id)).Trim()));
    }

    [Theory]
    [InlineData("file:///etc/passwd")]
    [InlineData("gopher://example.com/")]
    [InlineData("data:text/html,x")]
    [InlineData("ftp://example.com/a.txt")]
    [InlineData("http://user:secret@example.com/")]
    [InlineData("http://example.com:0/")]
    [InlineData("http://example.com:65536/")]
    [InlineData("http://localhost/")]
    [InlineData("http://2130706433/")]
    [InlineData("http://[::ffff:127.0.0.1]/")]
    [InlineData("http://169.254.169.254/latest/meta-data/")]
    [InlineData("http://user@127.0.0.2:8080/")]
    [InlineData("http://\u217cocalhost/")]
    [InlineData("http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/")]
    [InlineData("//127.0.0.2/")]
    [InlineData("jar:http://127.0.0.2!/")]
    [InlineData("no address")]
    [InlineData("")]
    public async Task Row53_addresses_that_are_not_of_the_public_web_are_refused(string url)
    {
        using var response = await host.Admin.Client.PostAsJsonAsync("/api/documents/url", new IngestUrlRequest(url), ContractJson.Options, Ct);

        Assert.True(response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.UnprocessableEntity, $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Ct)}");
    }

    [Theory]
    [InlineData("/hops/10", 422, "too_many_redirects")]
    [InlineData("/loop", 422, "too_many_redirects")]
    [InlineData("/to?http%3A%2F%2F127.0.0.1%2F", 400, "address_not_public")]
    [InlineData("/to?file%3A%2F%2F%2Fetc%2Fpasswd", 400, "address_invalid")]
    [InlineData("/declared", 422, "too_large")]
    [InlineData("/endless", 422, "too_large")]
    [InlineData("/bomb", 422, "too_large")]
    [InlineData("/lie", 422, "unreachable")]
    [InlineData("/noise", 422, "unreachable")]
    [InlineData("/missing", 422, "status")]
    [InlineData("/empty.txt", 422, "empty_file")]
    [InlineData("/program.txt", 415, "unsupported_file_type")]
    [InlineData("/paper.pdf", 415, "unsupported_file_type")]
    [InlineData("/picture.svg", 415, "unsupported_file_type")]
    public async Task Row53_servers_that_mean_harm_are_left_and_nothing_is_kept(string path, int status, string code)
    {
        var user = await host.RegisterAsync();
        using var response = await user.Client.PostAsJsonAsync("/api/documents/url", new IngestUrlRequest(urls.Web.At(path)), ContractJson.Options, Ct);

        Assert.Equal((status, code), await RefusalAsync(response));
        Assert.Equal(0, await Sql.ScalarAsync<long>(
            host.ConnectionString, $"select (select count(*) from agentflow_api.documents where owner_id = '{user.Id}') + (select count(*) from agentflow_api.document_originals where owner_id = '{user.Id}')"));

        // The cap is 20 MB; what the two sockets hold comes on top.
        Assert.InRange(urls.Web.Sent, 0, 200_000_000);
    }

    [Fact]
    public async Task Row53_a_page_behind_a_few_redirects_is_taken()
    {
        using var response = await host.Admin.Client.PostAsJsonAsync("/api/documents/url", new IngestUrlRequest(urls.Web.At("/hops/5")), ContractJson.Options, Ct);

        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
    }

    private static async Task<(int Status, string? Code)> RefusalAsync(HttpResponseMessage response) =>
        ((int)response.StatusCode, JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct)).GetProperty("code").GetString());

    private static string Part(string disposition, string content) => $"--b\r\nContent-Disposition: {disposition}\r\n\r\n{content}\r\n--b--\r\n";

    private async Task<HttpResponseMessage> SendAsync(string body, string type = Form, HttpClient? client = null, string method = "POST", string path = "/api/documents")
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        return await (client ?? host.Admin.Client).SendAsync(request, Ct);
    }

    private static byte[] Archive(string kind) => kind switch
    {
        "nested" => Zip(zip => Write(zip, "inner.zip", Samples.Bomb(1))),
        "many" => Zip(zip =>
        {
            for (var i = 0; i < 12_000; i++)
                zip.CreateEntry(i.ToString(CultureInfo.InvariantCulture), CompressionLevel.NoCompression);
        }),
        "million" => Listing(1_000_000, saysSo: true),
        "liar" => Listing(1_000_000, saysSo: false),

        // As in an archive that holds itself: whatever is inside an archive inside is not looked at.
        "archive in a part" => Zip(zip => Write(zip, "word/document.xml", Zip(inner => Write(inner, "word/document.xml", Samples.Docx())))),
        "one part a thousand times" => Samples.Zip(
            ("xl/workbook.xml", $"<workbook xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets>{string.Concat(Enumerable.Repeat("<sheet name=\"a\" r:id=\"r1\"/>", 1_000))}</sheets></workbook>"),
            ("xl/_rels/workbook.xml.rels", "<Relationships><Relationship Id=\"r1\" Target=\"worksheets/sheet1.xml\"/></Relationships>"),
            ("xl/worksheets/sheet1.xml", $"<worksheet><sheetData><row><c r=\"A1\"><v>1</v></c></row><!--{new string('a', 2_000_000)}--></sheetData></worksheet>")),

        // A symbolic link to a file of the server, as Unix archives have them.
        "link" => Zip(zip => Write(zip, "word/document.xml", "/etc/passwd"u8.ToArray(), unchecked((int)0xA1FF0000))),
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    private static byte[] Zip(Action<ZipArchive> fill)
    {
        using var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
            fill(zip);
        return memory.ToArray();
    }

    private static void Write(ZipArchive zip, string name, byte[] content, int attributes = 0)
    {
        var entry = zip.CreateEntry(name);
        entry.ExternalAttributes = attributes;
        using var stream = entry.Open();
        stream.Write(content);
    }

    /// <summary>An archive whose directory names one empty file again and again.</summary>
    /// <param name="saysSo">False: the end of the directory speaks of one entry.</param>
    private static byte[] Listing(int entries, bool saysSo)
    {
        using var memory = new MemoryStream();
        using var writer = new BinaryWriter(memory);
        writer.Write("PK\u0003\u0004"u8);
        writer.Write(new byte[22]);
        writer.Write([1, 0, 0, 0, (byte)'a']);
        var start = memory.Position;
        byte[] entry = [.. "PK\u0001\u0002"u8, .. new byte[24], 1, .. new byte[17], (byte)'a'];
        for (var i = 0; i < entries; i++)
            writer.Write(entry);
        var end = memory.Position;
        var said = saysSo ? (ulong)entries : 1;

        // The 64-bit record, where it is, and the old record that points there.
        writer.Write("PK\u0006\u0006"u8);
        foreach (var number in (ulong[])[44, 45 | (45 << 16), 0, said, said, (ulong)(end - start), (ulong)start])
        {
            if (number == (45 | (45 << 16)))
                writer.Write((uint)number);
            else
                writer.Write(number);
        }

        writer.Write("PK\u0006\u0007"u8);
        writer.Write(0u);
        writer.Write((ulong)end);
        writer.Write(1u);
        writer.Write("PK\u0005\u0006"u8);
        writer.Write([0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0]);
        return memory.ToArray();
    }

    private static byte[] HarmfulPdf(string kind)
    {
        var pdf = Encoding.ASCII.GetString(Samples.Pdf(["one page"]));
        return kind is "packed" ? PackedPdf() : Encoding.ASCII.GetBytes(kind switch
        {
            "circle" => pdf.Replace("/Kids [4 0 R]", "/Kids [2 0 R]", StringComparison.Ordinal),
            "xref" => pdf.Replace("trailer\n<< ", $"trailer\n<< /Prev {pdf.LastIndexOf("xref\n0", StringComparison.Ordinal)} ", StringComparison.Ordinal),
            "count" => pdf.Replace("/Count 1 ", "/Count 1000000 ", StringComparison.Ordinal),
            "pages" => pdf.Replace("/Kids [4 0 R] /Count 1 ", $"/Kids [{string.Concat(Enumerable.Repeat("4 0 R ", 1_000_000))}] /Count 1000000 ", StringComparison.Ordinal),
            "deep" => pdf.Replace("/Type /Catalog ", $"/Type /Catalog /X {new string('[', 1_000_000)}", StringComparison.Ordinal),
            "form" => pdf.Replace("/Font << /F1 3 0 R >>", "/Font << /F1 3 0 R >> /XObject << /X 5 0 R >>", StringComparison.Ordinal)
                .Replace("<< /Length ", "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >> /Length ", StringComparison.Ordinal).Replace("BT ", "/X Do /X Do BT ", StringComparison.Ordinal),
            "stream" => pdf.Replace("stream\nBT", $"stream\n{string.Concat(Enumerable.Repeat("q ", 100_000))}BT", StringComparison.Ordinal),
            _ => throw new ArgumentOutOfRangeException(nameof(kind)),
        });
    }

    /// <summary>A page whose commands unpack to 100 MB.</summary>
    private static byte[] PackedPdf()
    {
        using var packed = new MemoryStream();
        using (var zlib = new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            var block = Encoding.ASCII.GetBytes(new string(' ', 1_000_000));
            for (var i = 0; i < 100; i++)
                zlib.Write(block);
        }

        var pdf = Encoding.ASCII.GetString(Samples.Pdf(["one page"]));
        var (start, end) = (pdf.IndexOf("<< /Length ", StringComparison.Ordinal), pdf.IndexOf("\nendstream", StringComparison.Ordinal));
        return [.. Encoding.ASCII.GetBytes($"{pdf[..start]}<< /Filter /FlateDecode /Length {packed.Length} >>\nstream\n"), .. packed.ToArray(), .. Encoding.ASCII.GetBytes(pdf[end..])];
    }

    /// <summary>The service with fetching of pages switched on, and a server that it may fetch from. No file gets more than 20 s of a processor.</summary>
    public sealed class Urls : IAsyncLifetime
    {
        internal ApiHost Host { get; private set; } = null!;

        internal HostileWeb Web { get; } = new();

        public async ValueTask InitializeAsync()
        {
            Web.Start();
            Host = await ApiHost.StartAsync(new() { ["Documents:AllowUrls"] = "true", ["Documents:ExtractionCpuSeconds"] = "20", ["Documents:MaxUnpackedBytes"] = "67108864", ["Fetch:AllowedNetworks:0"] = HostileWeb.Network });
        }

        public async ValueTask DisposeAsync()
        {
            await Host.DisposeAsync();
            await Web.DisposeAsync();
        }
    }
}
