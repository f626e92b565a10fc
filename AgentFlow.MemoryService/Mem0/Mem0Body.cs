using System.Globalization;
using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Http;

namespace AgentFlow.MemoryService.Mem0;

/// <summary>A JSON body as Mem0 reads it: unknown members are ignored, null is absent, ids may be numbers.</summary>
internal readonly struct Mem0Body(JsonElement root)
{
    /// <summary>Half characters and U+0000 can not be kept, whatever member they are in.</summary>
    private static readonly JsonSerializerOptions Storable = new() { Converters = { new StorableElementConverter() } };

    internal static async Task<Mem0Body> ReadAsync(HttpContext context)
    {
        if (context.Request.ContentLength == 0)
            return new Mem0Body(JsonElement.Parse("{}"));
        var root = await JsonSerializer.DeserializeAsync<JsonElement>(context.Request.Body, Storable, context.RequestAborted);
        return root.ValueKind == JsonValueKind.Object ? new Mem0Body(root) : throw Mem0Edge.Invalid("The body is a JSON object.");
    }

    internal bool Has(string name) => root.TryGetProperty(name, out _);

    internal JsonElement? Get(string name) => root.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    internal string? Text(string name) => Get(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        { ValueKind: JsonValueKind.Number } value => value.GetRawText(),
        _ => throw Mem0Edge.Invalid($"{name} must be a string"),
    };

    internal string Required(string name) => Text(name) is { Length: > 0 } text ? text : throw Mem0Edge.Invalid($"{name} is required");

    internal bool Flag(string name, bool whenAbsent = false) => Get(name) switch
    {
        null => whenAbsent,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => throw Mem0Edge.Invalid($"{name} must be a boolean"),
    };

    internal double? Number(string name) => Get(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } value when double.IsFinite(value.GetDouble()) => value.GetDouble(),
        { ValueKind: JsonValueKind.String } value when double.TryParse(value.GetString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) => number,
        _ => throw Mem0Edge.Invalid($"{name} must be a number"),
    };

    internal int? Whole(string name) => Number(name) switch
    {
        null => null,
        { } number when number is >= int.MinValue and <= int.MaxValue && number == Math.Floor(number) => (int)number,
        _ => throw Mem0Edge.Invalid($"{name} must be a whole number"),
    };

    internal IReadOnlyList<JsonElement> List(string name) => Get(name) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Array } value => [.. value.EnumerateArray()],
        _ => throw Mem0Edge.Invalid($"{name} must be a list"),
    };

    internal IReadOnlyList<string> Texts(string name) => [.. List(name).Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)];

    internal MemoryScope Scope() => new() { UserId = Text("user_id"), AgentId = Text("agent_id"), SessionId = Text("run_id"), AppId = Text("app_id") };

    /// <summary>Messages as a list of role and content, as one object, or as bare text; parts that are not text are left out.</summary>
    internal IReadOnlyList<MemoryMessage> Messages() => Get("messages") switch
    {
        null => throw Mem0Edge.Invalid("messages is required"),
        { ValueKind: JsonValueKind.String } text => [new MemoryMessage("user", text.GetString()!)],
        { ValueKind: JsonValueKind.Object } one => [Message(one)],
        { ValueKind: JsonValueKind.Array } many => [.. many.EnumerateArray().Select(Message).Where(message => message.Content.Length > 0)],
        _ => throw Mem0Edge.Invalid("messages must be a list"),
    };

    // "2026-12-31": hidden from the end of that day on, UTC.
    internal static DateTimeOffset? Expiry(string? date)
    {
        if (string.IsNullOrEmpty(date))
            return null;
        if (DateOnly.TryParseExact(date, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var day))
            return day == DateOnly.MaxValue ? DateTimeOffset.MaxValue : new DateTimeOffset(day.AddDays(1).ToDateTime(TimeOnly.MinValue), TimeSpan.Zero);
        return DateTimeOffset.TryParse(date, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var moment)
            ? moment
            : throw Mem0Edge.Invalid("expiration_date must be a date, YYYY-MM-DD");
    }

    /// <summary>Seconds since 1970, as a number or as text, or a date.</summary>
    internal DateTimeOffset? Moment(string name)
    {
        if (Get(name) is not { } value)
            return null;
        if ((value.ValueKind == JsonValueKind.Number ? value.TryGetDouble(out var seconds) : double.TryParse(Text(name), NumberStyles.Float, CultureInfo.InvariantCulture, out seconds))
            && seconds is > -62_000_000_000 and < 250_000_000_000)
            return DateTimeOffset.UnixEpoch.AddSeconds(seconds);
        return value.ValueKind == JsonValueKind.String
            && DateTimeOffset.TryParse(value.GetString(), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var moment)
            ? moment
            : throw Mem0Edge.Invalid($"{name} must be a time");
    }

    private static MemoryMessage Message(JsonElement message)
    {
        if (message.ValueKind != JsonValueKind.Object || !message.TryGetProperty("content", out var content))
            throw Mem0Edge.Invalid("Each message has a role and a content");
        var role = message.TryGetProperty("role", out var given) && given.ValueKind == JsonValueKind.String ? given.GetString()! : "user";
        var name = message.TryGetProperty("name", out var named) && named.ValueKind == JsonValueKind.String ? named.GetString() : null;
        return new MemoryMessage(role, Content(content), name);
    }

    // Raw: "content": "hi"  or  "content": [{"type": "text", "text": "hi"}, {"type": "image_url", ...}]
    private static string Content(JsonElement content) => content.ValueKind switch
    {
        JsonValueKind.String => content.GetString()!,
        JsonValueKind.Array => string.Join('\n', content.EnumerateArray().Select(Content).Where(part => part.Length > 0)),
        JsonValueKind.Object when content.TryGetProperty("text", out var text) && text.ValueKind == JsonValueKind.String => text.GetString()!,
        _ => string.Empty,
    };
}
