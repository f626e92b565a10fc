using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Access;

/// <summary>
/// Rows of the bad-input matrix, by number, against the running service. Every answer of ours is problem details without a stack trace,
/// within a second of the machine's mood, and the process serves on.
/// </summary>
public sealed class BadInputTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static readonly string Deep = string.Concat(Enumerable.Repeat("[", 70)) + string.Concat(Enumerable.Repeat("]", 70));

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<int, string, int> Bodies => new()
    {
        { 1, "", 400 },
        { 1, "null", 400 },
        { 1, "{", 400 },
        { 1, "[]", 400 },
        { 1, """{"displayName":1}""", 400 },
        { 1, """{"displayName":1e999}""", 400 },
        { 2, $$"""{"displayName":{{Deep}}}""", 400 },
        { 2, new string('[', 60_000), 400 },
        { 3, """{"displayName":"a","displayName":"b"}""", 400 },
        { 4, """{"displayName":"a","isAdmin":true}""", 400 },
        { 4, """{"displayName":"a","ownerId":"0199a000-0000-7000-8000-000000000001"}""", 400 },
        { 4, """{"DisplayName":"a"}""", 400 },
        { 6, "{\"displayName\":\"\u00c3\u0028\"}", 400 },
        { 6, """{"displayName":"\ud800"}""", 400 },
        { 9, """{"displayName":"a\u0000b"}""", 400 },
        { 10, $$"""{"displayName":"{{new string('a', 101)}}"}""", 400 },
        { 10, "{\"displayName\":\"e" + string.Concat(Enumerable.Repeat("\u00cc\u0081", 101)) + "\"}", 400 },
        { 12, $$"""{"displayName":"{{new string('a', 70_000)}}"}""", 413 },
    };

    /// <summary>Bodies are Latin-1 here, so that broken UTF-8 can be written.</summary>
    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task Bodies_that_are_not_what_the_route_takes(int row, string body, int status)
    {
        var user = await host.RegisterAsync();
        using var content = new ByteArrayContent(Encoding.Latin1.GetBytes(body));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var response = await user.Client.PatchAsync("/api/auth/me", content, Ct);

        await RefusedAsync(row, status, response);
        Assert.Equal(user.Tokens.User.DisplayName, (await JsonAsync(await user.Client.GetAsync("/api/auth/me", Ct))).GetProperty("displayName").GetString());
    }

    [Theory]
    [InlineData(5, """{"query":"x","topK":"7"}""")]
    [InlineData(5, """{"query":"x","topK":7.5}""")]
    [InlineData(26, """{"query":"x","topK":0}""")]
    [InlineData(26, """{"query":"x","topK":-1}""")]
    [InlineData(26, """{"query":"x","topK":2147483648}""")]
    [InlineData(9, """{"query":"x","filter":{"a\u0000":1}}""")]
    [InlineData(6, """{"query":"x","filter":{"a":"\ud800"}}""")]
    [InlineData(41, """{"query":"x","filter":{"OR":[{"NOT":{}},{"$where":"1"}]}}""")]
    public async Task Numbers_limits_and_filters_of_a_search(int row, string body)
    {
        using var response = await host.Admin.Client.PostAsync("/api/documents/search", new StringContent(body, Encoding.UTF8, "application/json"), Ct);

        await RefusedAsync(row, 400, response);
    }

    [Theory]
    [InlineData("""{"should":[]}""")]
    [InlineData("""{"owner_id":"0199a000-0000-7000-8000-000000000001"}""")]
    [InlineData("""{"must_not":[{"key":"owner_id"}]}""")]
    public async Task A_filter_in_anothers_language_is_refused(string filter)
    {
        using var response = await host.Admin.Client.PostAsync("/api/documents/search", new StringContent($$"""{"query":"x","filter":{{filter}}}""", Encoding.UTF8, "application/json"), Ct);

        await RefusedAsync(41, 400, response);
    }

    [Theory]
    [InlineData(7, "application/json; charset=utf-16")]
    [InlineData(8, "application/json; charset=bogus")]
    [InlineData(8, "application/json; charset=\"\"\"")]
    [InlineData(11, "text/plain")]
    [InlineData(11, "application/xml")]
    [InlineData(11, "application/x-www-form-urlencoded")]
    [InlineData(11, "multipart/form-data; boundary=x")]
    [InlineData(11, null)]
    public async Task Media_types_and_charsets(int row, string? type)
    {
        using var request = new HttpRequestMessage(HttpMethod.Patch, "/api/auth/me") { Content = new ByteArrayContent("""{"displayName":"x"}"""u8.ToArray()) };
        if (type is not null)
        {
            request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
        }

        using var response = await host.Admin.Client.SendAsync(request, Ct);

        await RefusedAsync(row, 415, response);
    }

    [Fact]
    public async Task Compressed_bodies_are_not_unpacked()
    {
        using var request = new HttpRequestMessage(HttpMethod.Patch, "/api/auth/me") { Content = new ByteArrayContent([0x1f, 0x8b, 8, 0]) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Content.Headers.ContentEncoding.Add("gzip");

        await RefusedAsync(13, 415, await host.Admin.Client.SendAsync(request, Ct));
    }

    [Fact]
    public async Task A_chunked_body_over_the_limit_is_cut()
    {
        using var content = new StreamContent(new MemoryStream(Encoding.ASCII.GetBytes($$"""{"displayName":"{{new string('a', 70_000)}}"}""")));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var request = new HttpRequestMessage(HttpMethod.Patch, "/api/auth/me") { Content = content };
        request.Headers.TransferEncodingChunked = true;

        await RefusedAsync(12, 413, await host.Admin.Client.SendAsync(request, Ct));
    }

    public static TheoryData<int, string, int[]> Raw => new()
    {
        { 14, "POST /api/auth/login HTTP/1.1\r\nHost: {host}\r\nContent-Length: -1\r\n\r\n", [400] },
        { 14, "POST /api/auth/login HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", [400] },
        { 14, "POST /api/auth/login HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: magic\r\n\r\n{}", [400, 501] },
        { 14, "POST /api/auth/login HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", [400, 501] },
        { 14, "GET /health HTTP/1.1\r\nHost: {host}\r\nTE : x\r\n\r\n", [400] },
        { 14, "GET /health HTTP/1.1\r\nHost: {host}\r\nX: a\r\n b\r\n\r\n", [400] },
        { 14, "GET /health HTTP/1.1\r\nHost: {host}\r\nX: a\0b\r\n\r\n", [400] },
        { 15, "POST /api/auth/login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", [400] },
        { 16, "POST /api/auth/login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2;a\nb\r\n{}\r\n0\r\n\r\n", [400] },
        { 16, "POST /api/auth/login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", [400] },
        { 17, "POST /api/auth/login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n", [400] },
        { 18, "GET /health HTTP/1.1\nHost: {host}\n\n", [200, 400] },
        { 19, "GET /health HTTP/1.1\r\n\r\n", [400] },
        { 19, "GET /health HTTP/1.1\r\nHost: {host}\r\nHost: other.example\r\n\r\n", [400] },
        { 19, "GET /health HTTP/1.1\r\nHost: a\"><script>\r\n\r\n", [400] },
        { 20, "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", [400] },
        { 20, "GET /health HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", [400] },
        { 21, "GET /health HTTP/1.1\r\nHost: {host}\r\n" + string.Concat(Enumerable.Range(0, 101).Select(i => $"X-{i}: 1\r\n")) + "\r\n", [431] },
        { 21, "GET /health HTTP/1.1\r\nHost: {host}\r\nX: " + new string('a', 33 * 1_024) + "\r\n\r\n", [431] },
        { 21, "GET /" + new string('a', 9_000) + " HTTP/1.1\r\nHost: {host}\r\n\r\n", [414] },
        { 22, "GET /../../etc/passwd HTTP/1.1\r\nHost: {host}\r\n\r\n", [404] },
        { 22, "GET /%2e%2e%2f%2e%2e%2fetc/passwd HTTP/1.1\r\nHost: {host}\r\n\r\n", [404] },
        { 22, "GET /%c0%ae%c0%ae/x HTTP/1.1\r\nHost: {host}\r\n\r\n", [404] },
        { 22, "GET /%zz HTTP/1.1\r\nHost: {host}\r\n\r\n", [404] },
        { 23, "GET /api/documents/%00 HTTP/1.1\r\nHost: {host}\r\n\r\n", [400, 401, 404] },
        { 27, "TRACE /health HTTP/1.1\r\nHost: {host}\r\n\r\n", [405] },
        { 27, "BREW /health HTTP/1.1\r\nHost: {host}\r\n\r\n", [405] },
        { 27, "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", [400, 404, 405] },
        { 28, "GET http://evil.example/health HTTP/1.1\r\nHost: {host}\r\n\r\n", [400] },
        { 28, "GET /health HTTP/1.2\r\nHost: {host}\r\n\r\n", [505] },
        { 28, "GET /health\r\n\r\n", [400] },
        { 28, "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\r\n\r\n", [400] },
        { 30, "GET /health HTTP/1.1\r\nHost: {host}\r\nExpect: 200-maybe\r\n\r\n", [200, 417] },
    };

    [Theory]
    [MemberData(nameof(Raw))]
    public async Task Requests_that_no_client_library_would_send(int row, string request, int[] wanted)
    {
        var answer = await RawHttp.SendAsync(host.Address, request);

        Assert.True(wanted.Contains(answer.Status), $"row {row}: {answer.Status} {answer.Head}");
        Assert.DoesNotContain("   at ", answer.Body, StringComparison.Ordinal);
        if (answer.Status == 405)
        {
            Assert.Contains("Allow: ", answer.Head, StringComparison.OrdinalIgnoreCase);
        }

        await AliveAsync();
    }

    [Fact]
    public async Task A_clear_text_http2_preface_is_turned_away()
    {
        var answer = await RawHttp.SendAsync(host.Address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

        Assert.True(answer.Closed, answer.Head);
        await AliveAsync();
    }

    [Theory]
    [InlineData(24, "DELETE", "/api/auth/keys/not-a-uuid", 404)]
    [InlineData(24, "GET", "/api/documents/not-a-uuid", 404)]
    [InlineData(24, "GET", "/api/admin/users/not-a-uuid", 404)]
    [InlineData(24, "GET", "/api/runs/not-a-uuid", 404)]
    [InlineData(25, "GET", "/api/auth/keys?limit=abc", 400)]
    [InlineData(25, "GET", "/api/auth/keys?limit=99999999999999999999", 400)]
    [InlineData(25, "GET", "/api/auth/keys?limit=1&limit=2", 400)]
    [InlineData(25, "GET", "/api/auth/keys?limit=", 400)]
    [InlineData(26, "GET", "/api/auth/keys?limit=0", 400)]
    [InlineData(26, "GET", "/api/auth/keys?limit=-1", 400)]
    [InlineData(26, "GET", "/api/auth/keys?limit=2147483647", 400)]
    [InlineData(26, "GET", "/api/auth/keys?cursor=forged", 400)]
    [InlineData(26, "GET", "/api/documents?limit=0", 400)]
    [InlineData(26, "GET", "/api/documents?cursor=forged", 400)]
    [InlineData(26, "GET", "/api/chat?limit=0", 400)]
    [InlineData(26, "GET", "/api/chat?cursor=forged", 400)]
    [InlineData(23, "GET", "/api/chat/search?q=%00", 400)]
    [InlineData(23, "GET", "/api/admin/users?q=a%00b", 400)]
    [InlineData(51, "GET", "/api/runs/0199a000-0000-7000-8000-00000000dead/events?after=-1", 400)]
    public async Task Ids_queries_and_cursors(int row, string method, string path, int status)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using var response = await host.Admin.Client.SendAsync(request, Ct);

        // A run that is not there may be said so before its cursor is looked at.
        await RefusedAsync(row, row == 51 && response.StatusCode is HttpStatusCode.NotFound ? 404 : status, response);
    }

    /// <summary>Row 51: a run's own events only, from a place in its own log.</summary>
    [Fact]
    public async Task Places_in_a_log_that_name_none_are_refused()
    {
        var (mine, other) = (await host.RegisterAsync(), await host.RegisterAsync());
        async Task<string> RunAsync(TestUser user)
        {
            using var asked = await user.Client.PostAsync("/api/v1/chat/query", JsonContent(new { question = "What is 6 times 7?" }), Ct);
            return (await JsonAsync(asked)).GetProperty("runId").GetString()!;
        }

        var (run, foreign) = (await RunAsync(mine), await RunAsync(other));
        foreach (var (place, wanted) in new (string, int[])[]
        {
            ("-1", [400]), ($"{run}.-1", [400]), ($"{run}.99999999999999999999", [400]), ($"{run}.2147483647", [400]), ($"{run}.", [400]), ("nonsense", [400]), ("\u00fc\u00fc", [400]),
            ($"{foreign}.1", [400, 404]), ($"{Guid.CreateVersion7()}.1", [400, 404]), (new string('1', 1_000_000), [400, 431]), (new string('1', 20_000), [400]),
        })
        {
            var answer = await RawHttp.SendAsync(
                host.Address, $"GET /api/runs/{run}/events HTTP/1.1\r\nHost: {{host}}\r\nAuthorization: Bearer {mine.Tokens.AccessToken}\r\nLast-Event-ID: {place}\r\nConnection: close\r\n\r\n", TimeSpan.FromSeconds(30));
            Assert.True(wanted.Contains(answer.Status), $"{place[..Math.Min(60, place.Length)]}: {answer.Status} {answer.Body}");
            Assert.DoesNotContain(foreign, answer.Body, StringComparison.Ordinal);
        }

        using var theirs = await mine.Client.GetAsync($"/api/runs/{foreign}/events", Ct);
        await RefusedAsync(51, 404, theirs);
    }

    /// <summary>Row 39: what is exported is JSON or Markdown; there are no cells that could hold a formula.</summary>
    [Fact]
    public async Task No_route_writes_a_table_that_a_spreadsheet_would_calculate()
    {
        using var client = host.Client();
        var document = JsonElement.Parse(await client.GetStringAsync("/openapi/v1.json", Ct));
        var written = document.GetProperty("paths").EnumerateObject().SelectMany(path => path.Value.EnumerateObject())
            .SelectMany(operation => operation.Value.GetProperty("responses").EnumerateObject())
            .Where(response => response.Value.TryGetProperty("content", out _))
            .SelectMany(response => response.Value.GetProperty("content").EnumerateObject()).Select(content => content.Name).Distinct().ToArray();

        Assert.Contains("application/json", written);
        Assert.DoesNotContain(written, type => type.Contains("csv", StringComparison.OrdinalIgnoreCase) || type.Contains("sheet", StringComparison.OrdinalIgnoreCase) || type.Contains("excel", StringComparison.OrdinalIgnoreCase));
    }

    [Theory]
    [InlineData("'; drop table users; --")]
    [InlineData("%_%")]
    [InlineData("(a+)+$")]
    [InlineData("\\")]
    [InlineData("\u202eevil\u202c")]
    public async Task Metacharacters_are_literal_text(string text)
    {
        var user = await host.RegisterAsync();
        using var renamed = await user.Client.PatchAsync("/api/auth/me", JsonContent(new { displayName = text }), Ct);
        var found = await JsonAsync(await host.Admin.Client.GetAsync($"/api/admin/users?q={Uri.EscapeDataString(text)}", Ct));

        Assert.Equal(HttpStatusCode.OK, renamed.StatusCode);
        Assert.Equal([text], found.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("displayName").GetString()));
        await user.Client.PatchAsync("/api/auth/me", JsonContent(new { displayName = "plain" }), Ct);
    }

    /// <summary>Row 42: patterns as long as a request takes them are looked for as text, wherever something is looked for, and nowhere as a pattern.</summary>
    [Fact]
    public async Task Long_patterns_are_looked_for_as_text()
    {
        var user = await host.RegisterAsync();
        foreach (var part in new[] { "(a+)+$", "%_", "\\", "((((", "[^a]*", "a|", "%25", ".*.*=.*" })
        {
            var pattern = string.Concat(Enumerable.Repeat(part, 10_240 / part.Length));
            using var searched = await user.Client.PostAsync("/api/documents/search", JsonContent(new { query = pattern }), Ct);
            Assert.True(searched.StatusCode is HttpStatusCode.OK or HttpStatusCode.BadRequest, $"{part}: {(int)searched.StatusCode}");

            foreach (var path in new[] { "/api/chat/search", "/api/admin/users" })
            {
                using var found = await host.Admin.Client.GetAsync($"{path}?q={Uri.EscapeDataString(pattern[..1_500])}", Ct);
                Assert.True(found.StatusCode is HttpStatusCode.OK or HttpStatusCode.BadRequest, $"{path} {part}: {(int)found.StatusCode}");
                Assert.DoesNotContain("@example.test", await found.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public async Task Slow_requests_are_cut_and_idle_connections_are_capped()
    {
        await using var strict = await ApiHost.StartAsync(new() { ["Limits:HeadersTimeout"] = "00:00:01", ["Limits:RequestTimeout"] = "00:00:01.5", ["Limits:Connections"] = "8", ["Test:NoAdmin"] = "1" });
        using var client = strict.Client();
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/health", Ct)).StatusCode);

        var headers = await RawHttp.SendAsync(strict.Address, "GET /health HTTP/1.1\r\nHost: {host}\r\nX-Slow:");
        Assert.Equal(408, headers.Status);

        using var slow = new TcpClient();
        await slow.ConnectAsync(strict.Address.Host, strict.Address.Port, Ct);
        await using var stream = slow.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"POST /api/auth/login HTTP/1.1\r\nHost: {strict.Address.Authority}\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{{\"email\":\""), Ct);
        await TrickleAsync(stream);
        var body = await RawHttp.ReadAsync(stream, Ct);
        Assert.Equal(504, body.Status);

        // Its connection may have grown too old meanwhile; the next one must be there before the idle ones are.
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/health", Ct)).StatusCode);
        var idle = new List<TcpClient>();
        for (var i = 0; i < 20; i++)
        {
            var connection = new TcpClient();
            await connection.ConnectAsync(strict.Address.Host, strict.Address.Port, Ct);
            idle.Add(connection);
        }

        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/health", Ct)).StatusCode);

        // Beyond the cap the server ends a connection as soon as it has taken it, and there is room again when others go.
        await Patience.UntilAsync(() => Task.FromResult(idle.Count(connection => connection.Client.Poll(0, SelectMode.SelectRead))), ended => ended >= 13, "the end of the connections over the cap");
        idle.ForEach(connection => connection.Dispose());
        await Patience.UntilAsync(
            async () =>
            {
                try
                {
                    return (await RawHttp.SendAsync(strict.Address, "GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).Status == 200;
                }
                catch (SocketException)
                {
                    return false;
                }
            },
            "a new connection");
    }

    private static async Task TrickleAsync(NetworkStream stream)
    {
        try
        {
            // Until the server has had enough: its answer waits in our buffer then.
            for (var i = 0; i < 2_000 && !stream.DataAvailable; i++)
            {
                await stream.WriteAsync(Enumerable.Repeat((byte)'a', 30).ToArray(), Ct);
                await Task.Delay(100, Ct);
            }
        }
        catch (IOException)
        {
            // It was cut, as it should be.
        }
    }

    private static StringContent JsonContent(object value) => new(JsonSerializer.Serialize(value), Encoding.UTF8, "application/json");

    private static async Task<JsonElement> JsonAsync(HttpResponseMessage response) => JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct));

    private async Task RefusedAsync(int row, int status, HttpResponseMessage response)
    {
        var body = await response.Content.ReadAsStringAsync(Ct);
        Assert.True(status == (int)response.StatusCode, $"row {row}: {(int)response.StatusCode} {body}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = JsonElement.Parse(body);
        Assert.Equal(32, problem.GetProperty("traceId").GetString()!.Length);
        Assert.NotEmpty(problem.GetProperty("code").GetString()!);
        Assert.DoesNotContain("   at ", body, StringComparison.Ordinal);
        Assert.DoesNotContain("Exception", body, StringComparison.Ordinal);
        await AliveAsync();
    }

    private async Task AliveAsync()
    {
        using var client = host.Client();
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/health", Ct)).StatusCode);
    }
}
