using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>Rows 33 to 38 and 53 of the bad-input matrix: names, forms, types, archives and PDFs made to harm, and addresses to fetch.</summary>
public sealed class HostileFileTests(HostileFileTests.Urls urls) : IClassFixture<HostileFileTests.Urls>
{
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
    public async Task Row33_names_are_shown_cleaned(string disposition, string expected)
    {
        using var response = await SendAsync(Part($"form-data; name=\"file\"; {disposition}", $"Words under the odd name {disposition}."));

        Assert.True(response.StatusCode == HttpStatusCode.Created, await response.Content.ReadAsStringAsync(Ct));
        var item = Assert.Single((await response.Content.ReadFromJsonAsync<UploadResponse>(ContractJson.Options, Ct))!.Items);
        Assert.Equal(expected, item.Name);
        Assert.Equal(7, item.Id!.Value.Value.Version);
    }

    [Fact]
    public async Task Row33_a_name_of_4096_characters_is_cut_with_its_ending_kept()
    {
        using var response = await SendAsync(Part($"form-data; name=\"file\"; filename=\"{new string('n', 4_092)}.txt\"", "Words under a long name."));

        var item = Assert.Single((await response.Content.ReadFromJsonAsync<UploadResponse>(ContractJson.Options, Ct))!.Items);
        Assert.Equal((255, true), (item.Name.Length, item.Name.EndsWith("n.txt", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Row34_and_35_forms_that_are_none_are_400()
    {
        const string Fine = "form-data; name=\"file\"; filename=\"a.txt\"";
        foreach (var (body, type) in ((string, string)[])[
            (Part(Fine, "x"), "multipart/form-data"),
            (Part(Fine, "x").Replace("--b", "--" + new string('b', 200), StringComparison.Ordinal), $"multipart/form-data; boundary={new string('b', 200)}"),
            (Part(Fine, "cut off")[..^9], "multipart/form-data; boundary=b"),
            (Part(Fine + string.Concat(Enumerable.Range(0, 20).Select(i => $"\r\nX-Header-{i}: 1")), "x"), "multipart/form-data; boundary=b"),
            (Part(Fine, ""), "multipart/form-data; boundary=b"),
            (Part("form-data; name=\"file\"; filename=\"\"", "x"), "multipart/form-data; boundary=b")])
        {
            using var response = await SendAsync(body, type);
            Assert.True(response.StatusCode == HttpStatusCode.BadRequest, $"{response.StatusCode} for {type}: {body[..Math.Min(120, body.Length)]}");
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        }
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
    [InlineData("link", "damaged")]
    public async Task Row37_archives_made_to_harm_are_failed_documents(string kind, string reason)
    {
        var document = await new DocumentClient(await host.RegisterAsync()).IngestAsync($"{kind}.docx", Archive(kind));

        Assert.Equal(DocumentStatus.Failed, document.Status);
        Assert.Contains(reason, document.FailureReason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("circle")]
    [InlineData("xref")]
    [InlineData("count")]
    [InlineData("stream")]
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
    [InlineData("no address")]
    [InlineData("")]
    public async Task Row53_addresses_that_are_not_of_the_public_web_are_refused(string url)
    {
        using var response = await host.Admin.Client.PostAsJsonAsync("/api/documents/url", new IngestUrlRequest(url), ContractJson.Options, Ct);

        Assert.True(response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.UnprocessableEntity, $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Ct)}");
    }

    private static string Part(string disposition, string content) => $"--b\r\nContent-Disposition: {disposition}\r\n\r\n{content}\r\n--b--\r\n";

    private Task<HttpResponseMessage> SendAsync(string body, string type = "multipart/form-data; boundary=b")
    {
        var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
        content.Headers.TryAddWithoutValidation("Content-Type", type);
        return host.Admin.Client.PostAsync("/api/documents", content, Ct);
    }

    private static byte[] Archive(string kind)
    {
        using var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            switch (kind)
            {
                case "nested":
                    using (var inner = zip.CreateEntry("inner.zip").Open())
                        inner.Write(Samples.Bomb(1));
                    break;
                case "many":
                    for (var i = 0; i < 12_000; i++)
                        zip.CreateEntry(i.ToString(CultureInfo.InvariantCulture), CompressionLevel.NoCompression);
                    break;
                default:
                    // A symbolic link to a file of the server, as Unix archives have them.
                    var entry = zip.CreateEntry("word/document.xml");
                    entry.ExternalAttributes = unchecked((int)0xA1FF0000);
                    using (var target = entry.Open())
                        target.Write("/etc/passwd"u8);
                    break;
            }
        }

        return memory.ToArray();
    }

    private static byte[] HarmfulPdf(string kind)
    {
        var pdf = Encoding.ASCII.GetString(Samples.Pdf(["one page"]));
        return Encoding.ASCII.GetBytes(kind switch
        {
            "circle" => pdf.Replace("/Kids [4 0 R]", "/Kids [2 0 R]", StringComparison.Ordinal),
            "xref" => pdf.Replace("trailer\n<< ", $"trailer\n<< /Prev {pdf.LastIndexOf("xref\n0", StringComparison.Ordinal)} ", StringComparison.Ordinal),
            "count" => pdf.Replace("/Count 1 ", "/Count 1000000 ", StringComparison.Ordinal),
            "stream" => pdf.Replace("stream\nBT", $"stream\n{string.Concat(Enumerable.Repeat("q ", 500_000))}BT", StringComparison.Ordinal),
            _ => throw new ArgumentOutOfRangeException(nameof(kind)),
        });
    }

    /// <summary>The service with fetching of pages switched on.</summary>
    public sealed class Urls : IAsyncLifetime
    {
        internal ApiHost Host { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Host = await ApiHost.StartAsync(new() { ["Documents:AllowUrls"] = "true" });

        public ValueTask DisposeAsync() => Host.DisposeAsync();
    }
}
