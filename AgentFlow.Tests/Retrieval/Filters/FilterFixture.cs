using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.Tests.Retrieval.Filters;

/// <summary>A record as all evaluations see it, and random ones with everything that tends to go wrong in them.</summary>
internal static class FilterFixture
{
    public static readonly FilterSchema Schema = new(
        "metadata",
        new FilterColumn("id", FilterKind.Id, "id", "memory_ids"),
        new FilterColumn("user_id", FilterKind.Text, "user_id", "userId"),
        new FilterColumn("created_at", FilterKind.Instant, "created_at", "createdAt"),
        new FilterColumn("categories", FilterKind.TextList, "categories"),
        new FilterColumn("version", FilterKind.Number, "version"),
        new FilterColumn("immutable", FilterKind.Flag, "immutable"));

    private static readonly string[] Keys = ["cat", "n", "tag", "opt", "a.b", "we'ird \"key\"", "ключ", "deep", "when", "list", "0"];

    private static readonly string[] Texts =
    [
        "a", "A", "b", "1", "true", "*", "100%", "50_50", "back\\slash", "O'Reilly", "it's \"quoted\"", "Ünïcödé", "ÜNÏCÖDÉ", "ΣΊΣΥΦΟΣ", "σίσυφος", "[x](y){z}", "a.b", "日本語",
        "😀 smile", "2026-02-28", "2026-02-30", "2026-02-28T10:00:00Z", "2026-02-28T10:00:00.123456+05:30", "2026-13-01", "İstanbul", "straße", "tab\there", "$1::text", "--", "null", "",
    ];

    public static FilterExpression Parse(string json)
    {
        var expression = FilterParser.Parse(JsonDocument.Parse(json).RootElement.Clone(), Schema, out var error);
        Assert.Null(error);
        return expression!;
    }

    public static Dictionary<string, JsonElement> RandomRecord(Random random)
    {
        var fields = new Dictionary<string, JsonElement> { ["id"] = Element(Guid.CreateVersion7().ToString()), ["version"] = Element(random.Next(1, 5)) };
        if (random.Next(4) > 0)
            fields["user_id"] = Element(Texts[random.Next(6)]);
        fields["created_at"] = Element(new DateTime(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc).AddHours(random.Next(2000)).ToString("yyyy-MM-dd'T'HH:mm:ss'Z'"));
        if (random.Next(3) > 0)
            fields["categories"] = Element(Enumerable.Range(0, random.Next(3)).Select(_ => Texts[random.Next(Texts.Length)]).ToArray());
        fields["immutable"] = Element(random.Next(2) == 0);
        if (random.Next(8) > 0)
            fields["metadata"] = JsonSerializer.SerializeToElement(RandomObject(random, depth: 0));
        return fields;
    }

    /// <summary>A filter as text; operators and values meet fields of the wrong type as often as not.</summary>
    public static JsonObject RandomFilter(Random random, int depth = 0)
    {
        var filter = new JsonObject();
        if (depth < 3 && random.Next(3) == 0)
        {
            var group = new JsonArray(Enumerable.Range(0, random.Next(1, 4)).Select(_ => (JsonNode)RandomFilter(random, depth + 1)).ToArray());
            filter[random.Next(3) switch { 0 => "AND", 1 => "OR", _ => "NOT" }] = group;
            if (random.Next(2) == 0)
                return filter;
        }

        switch (random.Next(10))
        {
            case 0:
                filter["user_id"] = Condition(random, () => Texts[random.Next(6)], isOrdered: false);
                break;
            case 1:
                filter["categories"] = Condition(random, () => Texts[random.Next(Texts.Length)], isOrdered: false);
                break;
            case 2:
                filter["createdAt"] = new JsonObject { [random.Next(2) == 0 ? "gte" : "lt"] = $"2026-0{random.Next(1, 4)}-1{random.Next(10)}" };
                break;
            case 3:
                filter["version"] = Range(random, () => random.Next(1, 5));
                break;
            case 4:
                filter["immutable"] = random.Next(2) == 0;
                break;
            default:
                var key = Keys[random.Next(Keys.Length)];
                key = random.Next(4) == 0 ? key : key.Replace(".", "\\.", StringComparison.Ordinal);
                filter[random.Next(6) == 0 ? "deep." + key : key] = Condition(random, () => Scalar(random), isOrdered: true);
                break;
        }

        return filter;
    }

    private static JsonNode? Condition(Random random, Func<JsonNode?> value, bool isOrdered)
    {
        switch (random.Next(isOrdered ? 11 : 9))
        {
            case 0:
                return value();
            case 1:
                return "*";
            case 2:
                return new JsonObject { ["ne"] = value() };
            case 3:
                return new JsonObject { ["in"] = new JsonArray(value(), value(), value()) };
            case 4:
                return new JsonObject { ["nin"] = new JsonArray(value(), value()) };
            case 5:
                return new JsonObject { ["exists"] = random.Next(2) == 0 };
            case 6 or 7 or 8:
                var text = Texts[random.Next(Texts.Length - 1)];
                var start = random.Next(text.Length);
                var part = text.Substring(start, random.Next(1, text.Length - start + 1));
                if (part.Any(char.IsSurrogate))
                    part = text;
                return new JsonObject { [random.Next(2) == 0 ? "contains" : "icontains"] = random.Next(2) == 0 ? part : part.ToUpperInvariant() };
            default:
                return random.Next(2) == 0
                    ? Range(random, () => random.Next(-5, 40) / 2m)
                    : Range(random, () => $"2026-0{random.Next(1, 4)}-2{random.Next(9)}" + (random.Next(2) == 0 ? "" : "T05:30:00.5+01:00"));
        }
    }

    private static JsonObject Range(Random random, Func<JsonNode> bound)
    {
        var range = new JsonObject();
        if (random.Next(3) > 0)
            range[random.Next(2) == 0 ? "gt" : "gte"] = bound();
        if (range.Count == 0 || random.Next(2) == 0)
            range[random.Next(2) == 0 ? "lt" : "lte"] = bound();
        return range;
    }

    private static JsonNode? Scalar(Random random) => random.Next(8) switch
    {
        0 or 1 => random.Next(-5, 20),
        2 => random.Next(-50, 200) / 10m,
        3 => random.Next(2) == 0,
        4 => random.Next(3) == 0 ? null : 1e15m + random.Next(3),
        _ => Texts[random.Next(Texts.Length)],
    };

    private static JsonObject RandomObject(Random random, int depth)
    {
        var result = new JsonObject();
        foreach (var key in Keys.Where(_ => random.Next(2) == 0))
        {
            result[key] = (random.Next(7), key) switch
            {
                (_, "deep") when depth < 2 => RandomObject(random, depth + 1),
                (0, _) => new JsonArray(Enumerable.Range(0, random.Next(4)).Select(_ => Scalar(random)).ToArray()),
                (1, _) when depth < 2 => RandomObject(random, depth + 1),
                (_, "when") => Texts[random.Next(19, 24)],
                _ => Scalar(random),
            };
        }

        return result;
    }

    private static JsonElement Element<T>(T value) => JsonSerializer.SerializeToElement(value);
}
