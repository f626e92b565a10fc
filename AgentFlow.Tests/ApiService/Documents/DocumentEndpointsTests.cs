using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

public sealed class DocumentEndpointsTests(ApiHost host) : IClassFixture<ApiHost>
{
    private const string Guide = """
        # Keeping bees

        Bees are kept for honey and for pollination.

        ## Winter

        In winter the cluster holds about twenty degrees and eats eleven kilograms of stores.

        ## Diseases

        Varroa mites are treated with oxalic acid when the colony has no brood.
        """;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Uploaded_document_becomes_ready_and_its_passages_are_found_with_exact_offsets()
    {
        var client = await NewClientAsync();

        var document = await client.IngestAsync("bees.md", Guide);

        Assert.Equal(DocumentStatus.Ready, document.Status);
        Assert.Equal("Keeping bees", document.Title);
        var hits = await client.SearchAsync("how are varroa mites treated?");
        var best = hits[0];
        Assert.Equal((document.Id, "bees.md"), (best.DocumentId, best.DocumentName));
        Assert.Equal(["Keeping bees", "Diseases"], best.HeadingPath);
        Assert.Contains("oxalic acid", best.Text, StringComparison.Ordinal);
        Assert.Equal(best.Text, await client.TextAsync(document.Id, best.Start, best.End));
    }

    [Fact]
    public async Task Chunks_are_the_text_in_order_with_their_offsets()
    {
        var client = await NewClientAsync();
        var document = await client.IngestAsync("bees-chunks.md", Guide + "\n\nÜber 🐝 und \"Zeichen\".\n");

        var text = await client.TextAsync(document.Id);
        var chunks = await client.ChunksAsync(document.Id);

        Assert.Equal(document.Chunks, chunks.Count);
        Assert.Equal(Enumerable.Range(0, chunks.Count), chunks.Select(chunk => chunk.Ordinal));
        Assert.All(chunks, chunk => Assert.Equal(text[chunk.Start..chunk.End], chunk.Text));
        Assert.Equal(text.Where(c => !char.IsWhiteSpace(c)), string.Concat(chunks.Select(chunk => chunk.Text)).Where(c => !char.IsWhiteSpace(c)));
    }

    [Fact]
    public async Task Html_is_read_with_its_headings_and_without_its_scripts()
    {
        var client = await NewClientAsync();

        var document = await client.IngestAsync(
            "page.html", "<html><head><title>The page</title><style>p{}</style></head><body><h1>Tides</h1><p>The moon <b>pulls</b> the sea.</p><script>steal()</script></body></html>");

        Assert.Equal((DocumentStatus.Ready, "The page"), (document.Status, document.Title));
        Assert.Equal("Tides\n\nThe moon pulls the sea.", await client.TextAsync(document.Id));
    }

    [Fact]
    public async Task Content_is_a_download_that_takes_ranges_and_knows_what_is_unchanged()
    {
        var client = await NewClientAsync();
        var bytes = new byte[700_000];
        Array.Fill(bytes, (byte)'a');
        Encoding.ASCII.GetBytes("needle at a part's border").CopyTo(bytes, 262_140);
        var id = (await client.UploadAsync("big.txt", bytes)).Id!.Value;

        using var whole = await client.Http.GetAsync($"/api/documents/{id}/content", Ct);
        Assert.Equal(bytes, await whole.Content.ReadAsByteArrayAsync(Ct));
        Assert.Equal("attachment", whole.Content.Headers.ContentDisposition!.DispositionType);
        Assert.Equal("nosniff", whole.Headers.GetValues("X-Content-Type-Options").Single());
        Assert.Contains("sandbox", whole.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);

        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/documents/{id}/content");
        request.Headers.Range = new RangeHeaderValue(262_140, 262_145);
        using var part = await client.Http.SendAsync(request, Ct);
        Assert.Equal((HttpStatusCode.PartialContent, "needle"), (part.StatusCode, await part.Content.ReadAsStringAsync(Ct)));
        Assert.Equal("bytes 262140-262145/700000", part.Content.Headers.ContentRange!.ToString());

        using var beyond = new HttpRequestMessage(HttpMethod.Get, $"/api/documents/{id}/content");
        beyond.Headers.Range = new RangeHeaderValue(700_000, null);
        using var refused = await client.Http.SendAsync(beyond, Ct);
        Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, refused.StatusCode);

        using var known = new HttpRequestMessage(HttpMethod.Get, $"/api/documents/{id}/content");
        known.Headers.IfNoneMatch.Add(whole.Headers.ETag!);
        using var unchanged = await client.Http.SendAsync(known, Ct);
        Assert.Equal(HttpStatusCode.NotModified, unchanged.StatusCode);
        Assert.Equal((whole.Headers.ETag, 0), (unchanged.Headers.ETag, (await unchanged.Content.ReadAsByteArrayAsync(Ct)).Length));
    }

    [Fact]
    public async Task Content_is_given_only_as_it_is_asked_for()
    {
        var client = await NewClientAsync();
        var id = (await client.UploadAsync("ten.txt", "abcdefghij")).Id!.Value;
        using var whole = await client.Http.GetAsync($"/api/documents/{id}/content", Ct);
        foreach (var (tag, status) in new[] { ($"\"another\", {whole.Headers.ETag!.Tag}", HttpStatusCode.OK), ("*", HttpStatusCode.OK), ("\"another\"", HttpStatusCode.PreconditionFailed) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/documents/{id}/content");
            request.Headers.TryAddWithoutValidation("If-Match", tag);
            using var answer = await client.Http.SendAsync(request, Ct);
            Assert.Equal(status, answer.StatusCode);
        }
    }

    [Theory]
    [InlineData("Range", "bytes=-4", null, HttpStatusCode.PartialContent, "ghij", "bytes 6-9/10")]
    [InlineData("Range", "bytes=7-", null, HttpStatusCode.PartialContent, "hij", "bytes 7-9/10")]
    [InlineData("Range", "bytes=8-99", null, HttpStatusCode.PartialContent, "ij", "bytes 8-9/10")]
    [InlineData("Range", "bytes=0-1", "current", HttpStatusCode.PartialContent, "ab", "bytes 0-1/10")]
    [InlineData("Range", "bytes=0-1", "\"another\"", HttpStatusCode.OK, "abcdefghij", null)]
    [InlineData("Range", "bytes=0-1,4-5", null, HttpStatusCode.OK, "abcdefghij", null)]
    [InlineData("Range", "pages=1-2", null, HttpStatusCode.OK, "abcdefghij", null)]
    [InlineData("If-None-Match", "*", null, HttpStatusCode.NotModified, "", null)]
    [InlineData("If-None-Match", "W/current", null, HttpStatusCode.NotModified, "", null)]
    [InlineData("If-None-Match", "\"another\", current", null, HttpStatusCode.NotModified, "", null)]
    [InlineData("If-None-Match", "\"another\"", null, HttpStatusCode.OK, "abcdefghij", null)]
    public async Task Content_answers_conditions_and_ranges_as_RFC_9110_has_it(string header, string value, string? ifRange, HttpStatusCode status, string body, string? range)
    {
        var client = await NewClientAsync();
        var id = (await client.UploadAsync("ten.txt", "abcdefghij")).Id!.Value;
        using var whole = await client.Http.GetAsync($"/api/documents/{id}/content", Ct);
        var current = whole.Headers.ETag!.Tag;

        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/documents/{id}/content");
        request.Headers.TryAddWithoutValidation(header, value.Replace("current", current, StringComparison.Ordinal));
        if (ifRange is not null)
            request.Headers.TryAddWithoutValidation("If-Range", ifRange.Replace("current", current, StringComparison.Ordinal));
        using var answer = await client.Http.SendAsync(request, Ct);

        Assert.Equal((status, body, range), (answer.StatusCode, await answer.Content.ReadAsStringAsync(Ct), answer.Content.Headers.ContentRange?.ToString()));
        Assert.Equal(whole.Headers.ETag, answer.Headers.ETag);
    }

    [Fact]
    public async Task Replaced_content_has_another_tag()
    {
        var client = await NewClientAsync();
        var id = (await client.IngestAsync("a.txt", "The first edition.")).Id;
        using var first = await client.Http.GetAsync($"/api/documents/{id}/content", Ct);
        using var replaced = await client.Http.PutAsync($"/api/documents/{id}/content", DocumentClient.Form(("a.txt", "The second edition."u8.ToArray())), Ct);
        Assert.Equal(HttpStatusCode.Accepted, replaced.StatusCode);

        using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/documents/{id}/content");
        request.Headers.IfNoneMatch.Add(first.Headers.ETag!);
        using var second = await client.Http.SendAsync(request, Ct);
        Assert.Equal((HttpStatusCode.OK, "The second edition."), (second.StatusCode, await second.Content.ReadAsStringAsync(Ct)));
        Assert.NotEqual(first.Headers.ETag, second.Headers.ETag);
    }

    [Theory]
    [InlineData("empty.txt", "", HttpStatusCode.BadRequest, "empty_file")]
    [InlineData("program.exe", "anything", HttpStatusCode.UnsupportedMediaType, "unsupported_file_type")]
    [InlineData("picture.svg", "<svg/>", HttpStatusCode.UnsupportedMediaType, "unsupported_file_type")]
    [InlineData("page.pdf", "<html><body>not a pdf</body></html>", HttpStatusCode.UnsupportedMediaType, "unsupported_file_type")]
    [InlineData("notes.txt", "%PDF-1.7 not text", HttpStatusCode.UnsupportedMediaType, "unsupported_file_type")]
    public async Task Files_that_cannot_be_taken_are_refused_with_a_problem(string name, string text, HttpStatusCode status, string code)
    {
        var client = await NewClientAsync();

        using var response = await client.PostAsync((name, Encoding.UTF8.GetBytes(text)));

        Assert.Equal(status, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        Assert.Contains($"\"code\":\"{code}\"", await response.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
        Assert.Empty((await ListAsync(client)).Items);
    }

    [Fact]
    public async Task A_refused_file_does_not_stop_the_others_of_its_upload()
    {
        var client = await NewClientAsync();

        using var response = await client.PostAsync(("a.txt", "some words"u8.ToArray()), ("b.exe", "MZ"u8.ToArray()), ("../../etc/c.md", "# more words"u8.ToArray()));

        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        var upload = await response.Content.ReadFromJsonAsync<UploadResponse>(ContractJson.Options, Ct);
        Assert.Equal([("a.txt", true), ("b.exe", false), ("c.md", true)], upload!.Items.Select(item => (item.Name, item.Error is null)));
    }

    [Fact]
    public async Task Bodies_that_are_no_upload_are_refused()
    {
        var client = await NewClientAsync();
        using var json = await client.Http.PostAsJsonAsync("/api/documents", new { file = "x" }, Ct);
        using var nothing = await client.Http.PostAsync("/api/documents", new MultipartFormDataContent { { new StringContent("a"), "tag" } }, Ct);
        using var torn = new ByteArrayContent("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nhalf"u8.ToArray());
        torn.Headers.TryAddWithoutValidation("Content-Type", "multipart/form-data; boundary=b");
        using var cut = await client.Http.PostAsync("/api/documents", torn, Ct);

        Assert.Equal(
            (HttpStatusCode.UnsupportedMediaType, HttpStatusCode.BadRequest, HttpStatusCode.BadRequest), (json.StatusCode, nothing.StatusCode, cut.StatusCode));
        Assert.Contains("multipart/form-data", await json.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Empty((await ListAsync(client)).Items);
    }

    [Fact]
    public async Task File_over_the_limit_is_413_and_leaves_nothing()
    {
        await using var small = await ApiHost.StartAsync(new() { ["Documents:MaxFileBytes"] = "2000" });
        var client = new DocumentClient(small.Admin);

        using var under = await client.PostAsync(("fits.txt", Text(2_000)));
        using var over = await client.PostAsync(("large.txt", Text(2_001)));

        Assert.Equal((HttpStatusCode.Created, HttpStatusCode.RequestEntityTooLarge), (under.StatusCode, over.StatusCode));
        Assert.Equal(["fits.txt"], (await ListAsync(client)).Items.Select(document => document.Name));
    }

    [Fact]
    public async Task Undecodable_text_fails_with_the_reason()
    {
        var client = await NewClientAsync();

        var document = await client.IngestAsync("broken.txt", [.. "text "u8, 0xC3, 0x28, 0xFF, 0xFE, 0x81, .. " more"u8]);

        Assert.Equal(DocumentStatus.Failed, document.Status);
        Assert.Contains("can not be decoded", document.FailureReason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_same_content_twice_is_one_document()
    {
        var client = await NewClientAsync();
        var first = await client.IngestAsync("one.txt", "the same words in both");

        var second = await client.UploadAsync("two.txt", "the same words in both");

        Assert.Equal((first.Id, true), (second.Id!.Value, second.Duplicate));
        Assert.Single((await ListAsync(client)).Items);
    }

    [Fact]
    public async Task Deleted_document_is_gone_from_lists_searches_and_downloads()
    {
        var client = await NewClientAsync();
        var document = await client.IngestAsync("secret.txt", "The vault's combination is nine eleven four.");
        Assert.NotEmpty(await client.SearchAsync("vault combination"));

        using var deleted = await client.Http.DeleteAsync($"/api/documents/{document.Id}", Ct);
        using var again = await client.Http.DeleteAsync($"/api/documents/{document.Id}", Ct);
        using var content = await client.Http.GetAsync($"/api/documents/{document.Id}/content", Ct);

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.NotFound, HttpStatusCode.NotFound), (deleted.StatusCode, again.StatusCode, content.StatusCode));
        Assert.Empty(await client.SearchAsync("vault combination"));
        Assert.Empty((await ListAsync(client)).Items);
    }

    [Fact]
    public async Task Somebody_elses_document_does_not_exist()
    {
        var mine = await NewClientAsync();
        var document = await mine.IngestAsync("mine.txt", "The canary sings in the coal mine.");
        var other = await NewClientAsync();

        foreach (var path in (string[])["", "/content", "/text", "/chunks"])
        {
            using var response = await other.Http.GetAsync($"/api/documents/{document.Id}{path}", Ct);
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        }

        using var delete = await other.Http.DeleteAsync($"/api/documents/{document.Id}", Ct);
        using var retry = await other.Http.PostAsync($"/api/documents/{document.Id}/retry", null, Ct);
        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.NotFound), (delete.StatusCode, retry.StatusCode));
        Assert.Empty(await other.SearchAsync("canary coal mine"));
        Assert.NotEmpty(await mine.SearchAsync("canary coal mine"));
    }

    [Fact]
    public async Task List_pages_newest_first_and_refuses_what_is_no_page()
    {
        var client = await NewClientAsync();
        foreach (var name in (string[])["a.txt", "b.txt", "c.txt"])
            await client.UploadAsync(name, $"words of {name}");

        var first = await ListAsync(client, "?limit=2");
        var second = await ListAsync(client, $"?limit=2&cursor={first.NextCursor}");

        Assert.Equal(["c.txt", "b.txt"], first.Items.Select(document => document.Name));
        Assert.Equal(["a.txt"], second.Items.Select(document => document.Name));
        Assert.Null(second.NextCursor);
        Assert.DoesNotContain((await ListAsync(client, "?status=failed")).Items, document => document.Status != DocumentStatus.Failed);
        foreach (var query in (string[])["limit=0", "limit=-1", "limit=2147483647", "limit=x", "cursor=forged", "cursor=%00", "status=Readyish"])
        {
            using var response = await client.Http.GetAsync($"/api/documents?{query}", Ct);
            Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        }
    }

    [Fact]
    public async Task Search_filters_by_tag_and_type_and_refuses_wrong_requests()
    {
        var client = await NewClientAsync();
        using var form = new MultipartFormDataContent { { new StringContent("law"), "tag" }, { new StringContent("{\"court\": \"north\"}"), "metadata" } };
        form.Add(new ByteArrayContent("The appeal of the harbour company was dismissed."u8.ToArray()), "file", "appeal.txt");
        using var response = await client.Http.PostAsync("/api/documents", form, Ct);
        var upload = await response.Content.ReadFromJsonAsync<UploadResponse>(ContractJson.Options, Ct);
        await client.FinishedAsync(upload!.Items[0].Id!.Value);
        await client.IngestAsync("appeal.md", "# Appeal\n\nThe harbour's appeal to tourists is its old company of pilots.");

        async Task<IEnumerable<string>> NamesAsync(string filter) =>
            (await client.AnswerAsync(new DocumentSearchRequest { Query = "harbour appeal", Filter = System.Text.Json.JsonElement.Parse(filter), Explain = true })).Items
                .Select(hit => hit.DocumentName);

        Assert.Equal(["appeal.txt"], await NamesAsync("""{"tag": "law"}"""));
        Assert.Equal(["appeal.md"], await NamesAsync("""{"type": "markdown"}"""));
        Assert.Equal(["appeal.txt"], await NamesAsync("""{"metadata": {"court": "north"}}"""));
        foreach (var body in (string[])["""{"query": ""}""", """{"query": "x", "topK": 0}""", """{"query": "x", "filter": {"tag": {"resembles": 1}}}""", """{"query": "x", "owner": "y"}""", "{}"])
        {
            using var refused = await client.Http.PostAsync("/api/documents/search", new StringContent(body, Encoding.UTF8, "application/json"), Ct);
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        }
    }

    [Fact]
    public async Task Failed_document_can_be_tried_again()
    {
        var client = await NewClientAsync();
        var document = await client.IngestAsync("blank.txt", "   \n\n  ");
        Assert.Equal((DocumentStatus.Failed, "It contains no text."), (document.Status, document.FailureReason));

        using var retry = await client.Http.PostAsync($"/api/documents/{document.Id}/retry", null, Ct);

        Assert.Equal(HttpStatusCode.Accepted, retry.StatusCode);
        Assert.Equal(DocumentStatus.Failed, (await client.FinishedAsync(document.Id)).Status);
    }

    private static byte[] Text(int length) => Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("word ", (length / 5) + 1))[..length]);

    private static async Task<Page<DocumentSummary>> ListAsync(DocumentClient client, string query = "") =>
        (await client.Http.GetFromJsonAsync<Page<DocumentSummary>>($"/api/documents{query}", ContractJson.Options, Ct))!;

    private async Task<DocumentClient> NewClientAsync() => new(await host.RegisterAsync());
}
