using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.ApiService.OpenApi;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Access;

/// <summary>
/// Row 40 of the bad-input matrix: metacharacters of SQL in every string that a request can carry. Each is taken as text or refused, and none
/// ever is in the text of a statement: what is sent to the database as SQL is the same whoever asks for whatever.
/// </summary>
public sealed class SqlLiteralTests(FullHost full) : IClassFixture<FullHost>
{
    private static readonly string Mark = $"zq{Guid.NewGuid():N}"[..12];
    private static readonly string Hostile = $"'; drop table users; --{Mark}\"') or 1=1 /* %_\\ $1 ?";
    private static readonly string[] Headers =
    [
        "Last-Event-ID", "If-None-Match", "If-Range", "Range", "X-AgentFlow-Client", "X-AgentFlow-Web", "X-Forwarded-For", "User-Agent", "Accept", "Accept-Language",
        "Cookie", "Origin", "traceparent", "tracestate", "baggage",
    ];

    /// <summary>They end the session that all of it goes on with.</summary>
    private static readonly string[] EndTheSession = ["/api/auth/logout", "/api/auth/logout-all", "/api/auth/password", "/api/auth/me/erase", "/api/memories/erase"];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Metacharacters_in_any_string_of_a_request_never_become_a_statement()
    {
        using var statements = new Statements();
        var user = await full.Api.RegisterAsync("literal");
        var document = JsonElement.Parse(await user.Client.GetStringAsync("/openapi/v1.json", Ct));
        var failures = new List<string>();
        var sent = 0;
        foreach (var request in Operations(document).SelectMany(operation => Requests(document, operation.Path, operation.Method, operation.Operation)))
        {
            using (request)
            {
                request.Headers.Add(RouteCoverage.NotCounted, "1");
                using var response = await user.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Ct);
                sent++;
                if ((int)response.StatusCode is 500 or 501 or 502)
                {
                    failures.Add($"{request.Method} {request.RequestUri} {request.Headers} {(request.Content is null ? "" : await request.Content.ReadAsStringAsync(Ct))} -> {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Ct)}");
                }
            }
        }

        Assert.True(failures.Count == 0, string.Join(Environment.NewLine, failures));
        Assert.True(sent > 400, $"{sent}");
        Assert.True(statements.Seen > 200, $"{statements.Seen} statements of {sent} requests");
        Assert.Empty(statements.With(Mark));
        Assert.Equal(HttpStatusCode.OK, (await user.Client.GetAsync("/api/auth/me", Ct)).StatusCode);
    }

    [Fact]
    public async Task What_is_accepted_comes_back_as_it_was()
    {
        using var statements = new Statements();
        var user = await full.Api.RegisterAsync("literal");
        var client = user.Client;

        Assert.Equal(Hostile, (await PostAsync(client, "/api/collections", new { name = Hostile })).GetProperty("name").GetString());
        Assert.Equal(Hostile, (await PostAsync(client, "/api/rooms", new { name = Hostile })).GetProperty("name").GetString());
        var answer = await PostAsync(client, "/api/v1/chat/query", new { question = Hostile });
        Assert.Equal(Hostile, (await GetAsync(client, $"/api/chat/{answer.GetProperty("conversationId").GetString()}/history")).GetProperty("items")[0].GetProperty("content").GetString());
        Assert.NotEmpty((await GetAsync(client, $"/api/chat/search?q={Mark}")).GetProperty("items").EnumerateArray());
        Assert.Contains(Hostile, (await PostAsync(client, "/api/memories", new { text = $"I keep a {Hostile}." })).GetProperty("items")[0].GetProperty("text").GetString(), StringComparison.Ordinal);
        Assert.Contains(Mark, (await PostAsync(client, "/api/memories/search", new { query = Hostile })).GetRawText(), StringComparison.Ordinal);
        using var form = new MultipartFormDataContent { { new StringContent(Hostile), "tag" }, { new StringContent(JsonSerializer.Serialize(new Dictionary<string, string> { [Hostile] = Hostile })), "metadata" } };
        form.Add(new StringContent($"Words about nothing but {Mark}."), "file", $"{Mark}'--.txt");
        using var uploaded = await client.PostAsync("/api/documents", form, Ct);
        Assert.Equal(HttpStatusCode.Created, uploaded.StatusCode);
        await Patience.UntilAsync(() => client.GetStringAsync("/api/documents", Ct), list => list.Contains("\"ready\"", StringComparison.Ordinal), "the document");
        foreach (var filter in new object[] { new { tag = Hostile }, new { metadata = new Dictionary<string, string> { [Hostile] = Hostile } }, new { name = $"{Mark}'--.txt" } })
        {
            Assert.Single((await PostAsync(client, "/api/documents/search", new { query = Mark, filter })).GetProperty("items").EnumerateArray());
        }

        Assert.Empty((await PostAsync(client, "/api/documents/search", new { query = Mark, filter = new { tag = Hostile + "x" } })).GetProperty("items").EnumerateArray());
        Assert.Empty(statements.With(Mark));
    }

    [Fact]
    public async Task The_memory_service_takes_them_as_text_in_all_its_dialects()
    {
        using var statements = new Statements();
        await using var memory = await MemoryHost.StartAsync();
        using var client = await memory.ClientAsync();
        var word = Uri.EscapeDataString(Hostile);
        await PostAsync(client, "/api/memories", new { text = Hostile, userId = Hostile, agentId = Hostile, sessionId = Hostile, infer = false, categories = new[] { Hostile }, metadata = new Dictionary<string, string> { [Hostile] = Hostile } });
        await PostAsync(client, "/v3/memories/add/", new { messages = new[] { new { role = "user", content = Hostile } }, user_id = Hostile, infer = false, metadata = new Dictionary<string, string> { [Hostile] = Hostile } });
        foreach (var (path, body) in new (string, object?)[]
        {
            ("/api/memories/search", new { query = Hostile, filter = new { userId = Hostile } }),
            ("/api/memories/search", new { query = Hostile, filter = new Dictionary<string, object> { ["userId"] = Hostile, ["metadata"] = new Dictionary<string, string> { [Hostile] = Hostile } } }),
            ("/api/memories/search", new { query = Hostile, filter = new { userId = new Dictionary<string, string> { ["icontains"] = Hostile } } }),
            ("/api/memories/search", new { query = Hostile, filter = new Dictionary<string, string> { [Hostile] = "x" } }),
            ("/v3/memories/search/", new { query = Hostile, filters = new { user_id = Hostile } }),
            ("/v2/memories/", new { filters = new Dictionary<string, string> { ["user_id"] = Hostile, [Hostile] = Hostile } }),
            ("/search", new { query = Hostile, user_id = Hostile }),
            ("/api/context", new { query = Hostile, filter = new { userId = Hostile } }),
            ($"/api/memories?userId={word}", null), ($"/api/memories?userId={word}&sort={word}&order={word}&cursor={word}", null), ($"/api/events?cursor={word}", null), ($"/api/graph?userId={word}&query={word}", null),
            ($"/v1/memories/?user_id={word}&order_by={word}&sort={word}", null), ($"/memories?user_id={word}", null), ($"/v1/entities/?order_by={word}", null), ($"/v1/memories/user/{word}/", null), ($"/api/memories/{word}", null),
            ($"/entities?type={word}", null), ($"/v1/events/?event_type={word}", null),
        })
        {
            using var response = body is null ? await client.GetAsync(path, Ct) : await client.PostAsJsonAsync(path, body, Ct);
            Assert.True((int)response.StatusCode is >= 200 and < 500, $"{path} {JsonSerializer.Serialize(body)}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Ct)}");
        }

        Assert.Equal(Hostile, (await GetAsync(client, $"/api/memories?userId={word}")).GetProperty("items")[0].GetProperty("text").GetString());
        Assert.True(statements.Seen > 20, $"{statements.Seen}");
        Assert.Empty(statements.With(Mark));
    }

    private static IEnumerable<(string Path, string Method, JsonElement Operation)> Operations(JsonElement document) => document.GetProperty("paths").EnumerateObject()
        .Where(path => !EndTheSession.Contains(path.Name)).SelectMany(path => path.Value.EnumerateObject().Select(member => (path.Name, member.Name.ToUpperInvariant(), member.Value)));

    /// <summary>A request for each place of the operation that holds a string, spoiled there and nowhere else.</summary>
    private static IEnumerable<HttpRequestMessage> Requests(JsonElement document, string path, string method, JsonElement operation)
    {
        var parameters = operation.TryGetProperty("parameters", out var listed) ? listed.EnumerateArray().Select(each => (In: each.GetProperty("in").GetString(), Name: each.GetProperty("name").GetString()!)).ToList() : [];
        var example = Examples.ForOperation(operation.TryGetProperty("operationId", out var id) ? id.GetString() : null);
        foreach (var spoiled in parameters.Where(parameter => parameter.In == "path"))
        {
            yield return Request(method, Fill(path, spoiled.Name), example);
        }

        foreach (var spoiled in parameters.Where(parameter => parameter.In == "query"))
        {
            yield return Request(method, $"{Fill(path)}?{spoiled.Name}={Uri.EscapeDataString(Hostile)}", example);
        }

        // Those that decide whether a request is heard at all by themselves, the others together.
        foreach (var headers in (string[][])[["Idempotency-Key"], ["Authorization"], ["X-API-Key"], Headers])
        {
            var request = Request(method, Fill(path), example);
            foreach (var header in headers)
            {
                request.Headers.TryAddWithoutValidation(header, header is "Authorization" ? $"Bearer {Hostile}" : Hostile);
            }

            yield return request;
        }

        for (var i = 0; i < (example is null ? 0 : Strings(example).Count); i++)
        {
            var body = example!.DeepClone();
            Strings(body)[i].ReplaceWith(Hostile);
            yield return Request(method, Fill(path), body);
        }

        // Members that no example has: a member of any name, and all that the schema knows.
        if (example is JsonObject)
        {
            foreach (var member in Members(document, operation).Append(Hostile))
            {
                var body = example.DeepClone().AsObject();
                body[member] = Hostile;
                yield return Request(method, Fill(path), body);
            }
        }
    }

    private static HttpRequestMessage Request(string method, string target, JsonNode? body) => new(new HttpMethod(method), target)
    {
        Content = body is null ? null : new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"),
    };

    private static string Fill(string path, string? spoiled = null) => string.Join('/', path.Split('/').Select(segment =>
        !segment.StartsWith('{') ? segment : segment == $"{{{spoiled}}}" ? Uri.EscapeDataString(Hostile) : "0199a000-0000-7000-8000-000000000001"));

    private static List<JsonNode> Strings(JsonNode? node) => node switch
    {
        JsonObject members => [.. members.SelectMany(member => Strings(member.Value))],
        JsonArray items => [.. items.SelectMany(Strings)],
        JsonValue value when value.GetValueKind() is JsonValueKind.String => [value],
        _ => [],
    };

    private static IEnumerable<string> Members(JsonElement document, JsonElement operation)
    {
        if (!operation.TryGetProperty("requestBody", out var body) || !body.GetProperty("content").TryGetProperty("application/json", out var json))
        {
            return [];
        }

        var schema = json.GetProperty("schema");
        schema = schema.TryGetProperty("$ref", out var reference) ? reference.GetString()!.Split('/').Skip(1).Aggregate(document, (element, name) => element.GetProperty(name)) : schema;
        return schema.TryGetProperty("properties", out var properties) ? [.. properties.EnumerateObject().Select(property => property.Name)] : [];
    }

    private static async Task<JsonElement> PostAsync(HttpClient client, string path, object body)
    {
        using var response = await client.PostAsJsonAsync(path, body, Ct);
        var answer = await response.Content.ReadAsStringAsync(Ct);
        Assert.True(response.IsSuccessStatusCode, $"{path}: {(int)response.StatusCode} {answer}");
        return JsonElement.Parse(answer);
    }

    private static async Task<JsonElement> GetAsync(HttpClient client, string path) => JsonElement.Parse(await client.GetStringAsync(path, Ct));

    /// <summary>All SQL that this process sends, as its spans tell it: the text without its parameters.</summary>
    private sealed class Statements : IDisposable
    {
        private readonly ConcurrentQueue<string> texts = [];
        private readonly ActivityListener listener;

        public Statements()
        {
            listener = new ActivityListener
            {
                ShouldListenTo = static source => source.Name == "Npgsql",
                Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = span => texts.Enqueue($"{span.DisplayName} {string.Join(' ', span.TagObjects.Where(tag => tag.Key is "db.query.text" or "db.statement").Select(tag => tag.Value))}"),
            };
            ActivitySource.AddActivityListener(listener);
        }

        /// <summary>Statements with their text.</summary>
        public int Seen => texts.Count(text => text.Contains("select", StringComparison.OrdinalIgnoreCase) || text.Contains("insert", StringComparison.OrdinalIgnoreCase));

        public IEnumerable<string> With(string text) => texts.Where(each => each.Contains(text, StringComparison.OrdinalIgnoreCase));

        public void Dispose() => listener.Dispose();
    }
}
