using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.ApiService.OpenApi;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Access;

/// <summary>
/// Requests made from the API's own description and then spoiled. Seeded: a failure prints what was sent. 1,500 in an ordinary run;
/// <c>AGENTFLOW_MUTATIONS=200000</c> for the long one.
/// </summary>
public sealed class MutationTests(FullHost full) : IClassFixture<FullHost>
{
    private const int Seed = 20_261_121;

    private static readonly string[] Hostile =
    [
        "", " ", "\u0000", "\ud800", "null", "true", "0", "-1", "9223372036854775808", "1e999", "NaN", "'; drop table users; --", "%00", "../../etc/passwd", "<script>alert(1)</script>",
        "{{7*7}}", "${jndi:ldap://127.0.0.1/x}", "\u202e", "e\u0301\u0301\u0301", "\r\nX-Injected: 1", "http://127.0.0.1:9/", "file:///etc/passwd", "(a+)+$", "\\", "\"", "[]", "{}",
    ];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_spoiled_request_is_answered_with_a_failure_of_ours()
    {
        var count = int.TryParse(Environment.GetEnvironmentVariable("AGENTFLOW_MUTATIONS"), CultureInfo.InvariantCulture, out var asked) ? asked : 1_500;
        var user = await full.Api.RegisterAsync("mutant");
        var document = JsonElement.Parse(await user.Client.GetStringAsync("/openapi/v1.json", Ct));
        var operations = document.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(member => (Path: path.Name, Method: member.Name.ToUpperInvariant(), Operation: member.Value)))
            .Where(operation => !operation.Path.Contains("/auth/log", StringComparison.Ordinal) && !operation.Path.Contains("/auth/re", StringComparison.Ordinal)
                && !operation.Path.EndsWith("/events", StringComparison.Ordinal) && operation.Path != "/api/auth/password")
            .ToArray();
        var random = new Random(Seed);
        var failures = new List<string>();
        for (var i = 0; i < count && failures.Count < 20; i++)
        {
            var (path, method, operation) = operations[random.Next(operations.Length)];
            var (target, body, type) = Spoil(random, path, method, operation);
            using var request = new HttpRequestMessage(new HttpMethod(method), target);
            request.Headers.Add(RouteCoverage.NotCounted, "1");
            if (body is not null)
            {
                request.Content = new ByteArrayContent(body);
                request.Content.Headers.TryAddWithoutValidation("Content-Type", type);
            }

            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
                limit.CancelAfter(Patience.Limit);
                using var response = await user.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
                if ((int)response.StatusCode is 500 or 505 or 506 or 508)
                {
                    failures.Add($"{i}: {method} {target} [{type}] {Show(body)} -> {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(limit.Token)}");
                }
            }
            catch (Exception error) when (error is HttpRequestException or OperationCanceledException or UriFormatException && !Ct.IsCancellationRequested)
            {
                failures.Add($"{i}: {method} {target} [{type}] {Show(body)} -> {error.GetType().Name}");
            }
        }

        Assert.True(failures.Count == 0, string.Join(Environment.NewLine, failures));
        Assert.Equal(HttpStatusCode.OK, (await user.Client.GetAsync("/api/auth/me", Ct)).StatusCode);
    }

    private static (string Target, byte[]? Body, string? Type) Spoil(Random random, string path, string method, JsonElement operation)
    {
        var target = new StringBuilder();
        foreach (var segment in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var value = segment.StartsWith('{')
                ? random.Next(3) switch { 0 => Guid.CreateVersion7().ToString(), 1 => "tutor", _ => Escape(Hostile[random.Next(Hostile.Length)]) }
                : segment;
            target.Append('/').Append(value.Length == 0 ? "x" : value);
        }

        if (operation.TryGetProperty("parameters", out var parameters))
        {
            var query = parameters.EnumerateArray().Where(parameter => parameter.TryGetProperty("in", out var place) && place.GetString() == "query" && random.Next(2) == 0)
                .Select(parameter => $"{parameter.GetProperty("name").GetString()}={Escape(Hostile[random.Next(Hostile.Length)])}").ToArray();
            target.Append(query.Length > 0 ? "?" + string.Join('&', query) : "");
        }

        if (method is "GET" or "DELETE")
        {
            return (target.ToString(), null, null);
        }

        var example = Examples.ForOperation(operation.TryGetProperty("operationId", out var id) ? id.GetString() : null) as JsonObject ?? [];
        var type = random.Next(12) switch { 0 => "text/plain", 1 => "application/json; charset=utf-16", 2 => "multipart/form-data; boundary=x", _ => "application/json" };
        return (target.ToString(), Break(random, example), type);
    }

    private static byte[] Break(Random random, JsonObject body)
    {
        if (body.Count > 0)
        {
            var name = body.ElementAt(random.Next(body.Count)).Key;
            switch (random.Next(6))
            {
                case 0:
                    body.Remove(name);
                    break;
                case 1:
                    body[name] = random.Next(-2, 3);
                    break;
                case 2:
                    body[name] = new JsonArray(JsonValue.Create(1), new JsonObject());
                    break;
                case 3:
                    body[name] = null;
                    break;
                case 4:
                    body[$"x{random.Next(3)}"] = "unknown";
                    break;
                default:
                    body[name] = "PLACE";
                    break;
            }
        }

        var text = body.ToJsonString().Replace("\"PLACE\"", Hostile[random.Next(Hostile.Length)] is var word && random.Next(2) == 0 ? word : JsonSerializer.Serialize(word.Replace("\ud800", "\\ud800", StringComparison.Ordinal)), StringComparison.Ordinal);
        var bytes = Encoding.UTF8.GetBytes(text);
        if (bytes.Length > 0 && random.Next(4) == 0)
        {
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        }

        return random.Next(8) == 0 ? bytes[..random.Next(bytes.Length + 1)] : bytes;
    }

    private static string Escape(string text) => Uri.EscapeDataString(text.Replace("\ud800", "\ufffd", StringComparison.Ordinal));

    private static string Show(byte[]? body) => body is null ? "" : Encoding.Latin1.GetString(body, 0, Math.Min(body.Length, 300));
}
