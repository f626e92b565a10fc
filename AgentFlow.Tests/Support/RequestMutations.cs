using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.ApiService.OpenApi;

namespace AgentFlow.Tests.Support;

/// <summary>A spoiled request, before it is sent.</summary>
internal sealed record Mutation(string Method, string Target, byte[]? Body, string? ContentType, (string Name, string Value)? Header)
{
    public HttpRequestMessage ToRequest()
    {
        var request = new HttpRequestMessage(new HttpMethod(Method), Target);
        if (Body is not null)
        {
            request.Content = new ByteArrayContent(Body);
            request.Content.Headers.TryAddWithoutValidation("Content-Type", ContentType);
        }

        if (Header is { } header)
        {
            request.Headers.TryAddWithoutValidation(header.Name, header.Value);
        }

        return request;
    }

    public override string ToString() => $"{Method} {Target} [{ContentType}] {Header} {(Body is null ? "" : Encoding.Latin1.GetString(Body, 0, Math.Min(Body.Length, 300)))}";
}

/// <summary>Makes requests from the API's own description and spoils them: ids, queries, headers, members, bytes. The same seed makes the same.</summary>
internal sealed class RequestMutations
{
    private static readonly string[] Hostile =
    [
        "", " ", "\u0000", "\ud800", "null", "true", "0", "-1", "9223372036854775808", "1e999", "NaN", "'; drop table users; --", "%00", "../../etc/passwd", "<script>alert(1)</script>",
        "{{7*7}}", "${jndi:ldap://127.0.0.1/x}", "\u202e", "e\u0301\u0301\u0301", "\r\nX-Injected: 1", "http://127.0.0.1:9/", "file:///etc/passwd", "(a+)+$", "\\", "\"", "[]", "{}",
        "\ufdfa\ufdfa", "2026-13-45T99:99:99Z", "00000000-0000-0000-0000-000000000000", "%_%", "af_x", "eyJhbGciOiJub25lIn0.e30.",
    ];

    private static readonly string[] Headers =
        ["Idempotency-Key", "Last-Event-ID", "Range", "If-None-Match", "Accept", "Accept-Encoding", "X-Forwarded-For", "X-AgentFlow-Web", "X-AgentFlow-Client", "traceparent", "Content-Encoding", "Origin", "Cookie"];

    private readonly Random random;
    private readonly (string Path, string Method, JsonElement Operation)[] operations;

    /// <param name="document">The OpenAPI document.</param>
    /// <param name="include">Which paths.</param>
    public RequestMutations(JsonElement document, int seed, Func<string, bool> include)
    {
        random = new Random(seed);
        operations = [.. document.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Select(member => (Path: path.Name, Method: member.Name.ToUpperInvariant(), Operation: member.Value)))
            .Where(operation => include(operation.Path))];
    }

    public Mutation Next()
    {
        var (path, method, operation) = operations[random.Next(operations.Length)];
        var target = Target(path, operation);
        (string, string)? header = random.Next(6) == 0
            ? (Headers[random.Next(Headers.Length)], string.Concat(Word().Where(char.IsAscii).Where(character => !char.IsControl(character))))
            : null;
        if (method is "GET" or "DELETE")
        {
            return new(method, target, null, null, header);
        }

        var example = Examples.ForOperation(operation.TryGetProperty("operationId", out var id) ? id.GetString() : null) as JsonObject ?? [];
        var type = random.Next(12) switch { 0 => "text/plain", 1 => "application/json; charset=utf-16", 2 => "multipart/form-data; boundary=x", _ => "application/json" };
        return new(method, target, type.StartsWith("multipart", StringComparison.Ordinal) && random.Next(3) > 0 ? Multipart() : Break(example), type, header);
    }

    private string Target(string path, JsonElement operation)
    {
        var target = new StringBuilder();
        foreach (var segment in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var value = segment.StartsWith('{') ? random.Next(3) switch { 0 => Guid.CreateVersion7().ToString(), 1 => "tutor", _ => Escape(Word()) } : segment;
            target.Append('/').Append(value.Length == 0 ? "x" : value);
        }

        if (operation.TryGetProperty("parameters", out var parameters))
        {
            var query = parameters.EnumerateArray().Where(parameter => parameter.TryGetProperty("in", out var place) && place.GetString() == "query" && random.Next(2) == 0)
                .Select(parameter => $"{parameter.GetProperty("name").GetString()}={Escape(Word())}").ToArray();
            target.Append(query.Length > 0 ? "?" + string.Join('&', query) : "");
        }

        return target.ToString();
    }

    private byte[] Break(JsonObject body)
    {
        if (body.Count > 0)
        {
            var name = body.ElementAt(random.Next(body.Count)).Key;
            switch (random.Next(8))
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
                case 5:
                    body[name] = new JsonObject { [Word().Replace("\ud800", "x", StringComparison.Ordinal)] = new JsonObject { ["a"] = body[name]?.DeepClone() } };
                    break;
                case 6:
                    body[name] = string.Concat(Enumerable.Repeat("e\u0301", random.Next(1, 6_000)));
                    break;
                default:
                    body[name] = "PLACE";
                    break;
            }
        }

        var word = Word();
        var text = body.ToJsonString().Replace(
            "\"PLACE\"", random.Next(2) == 0 ? word : JsonSerializer.Serialize(word.Replace("\ud800", "\\ud800", StringComparison.Ordinal)), StringComparison.Ordinal);
        var bytes = Encoding.UTF8.GetBytes(text);
        if (bytes.Length > 0 && random.Next(4) == 0)
        {
            bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        }

        return random.Next(8) == 0 ? bytes[..random.Next(bytes.Length + 1)] : bytes;
    }

    private byte[] Multipart()
    {
        var name = Word().Replace("\r\n", "%0d%0a", StringComparison.Ordinal);
        var bytes = Encoding.UTF8.GetBytes(string.Create(
            CultureInfo.InvariantCulture, $"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {(random.Next(2) == 0 ? "text/plain" : Word())}\r\n\r\n{Word()}{Word()}\r\n--x--\r\n"));
        return random.Next(4) == 0 ? bytes[..random.Next(bytes.Length + 1)] : bytes;
    }

    private string Word() => Hostile[random.Next(Hostile.Length)];

    private static string Escape(string text) => Uri.EscapeDataString(text.Replace("\ud800", "\ufffd", StringComparison.Ordinal));
}
