using System.Text.Json;
using System.Text.Json.Serialization;

namespace AgentFlow.ServiceDefaults.Http;

/// <summary>Text that Postgres can hold: whole characters (no lone surrogates) and no U+0000. Anything else is a 400 that names the member.</summary>
public sealed class StorableStringConverter : JsonConverter<string>
{
    public override string? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType is not JsonTokenType.String)
        {
            throw new JsonException("This is not a text.");
        }

        return StorableText.Read(ref reader);
    }

    public override string ReadAsPropertyName(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => StorableText.Read(ref reader);

    public override void Write(Utf8JsonWriter writer, string value, JsonSerializerOptions options) => StorableText.Given(writer).WriteStringValue(value);

    public override void WriteAsPropertyName(Utf8JsonWriter writer, string value, JsonSerializerOptions options) => StorableText.Given(writer).WritePropertyName(value);
}

/// <summary>The same for members that take any JSON, which are otherwise not looked into until somebody reads them.</summary>
public sealed class StorableElementConverter : JsonConverter<JsonElement>
{
    public override JsonElement Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var ahead = reader;
        var depth = ahead.CurrentDepth;
        do
        {
            if (ahead.TokenType is JsonTokenType.String or JsonTokenType.PropertyName)
            {
                StorableText.Read(ref ahead);
            }
        }
        while ((ahead.CurrentDepth > depth || ahead.TokenType is JsonTokenType.StartObject or JsonTokenType.StartArray) && ahead.Read());

        return JsonElement.ParseValue(ref reader);
    }

    public override void Write(Utf8JsonWriter writer, JsonElement value, JsonSerializerOptions options) => value.WriteTo(StorableText.Given(writer));
}

file static class StorableText
{
    public static Utf8JsonWriter Given(Utf8JsonWriter? writer) => writer ?? throw new ArgumentNullException(nameof(writer));

    public static string Read(ref Utf8JsonReader reader)
    {
        string text;
        try
        {
            text = reader.GetString()!;
        }
        catch (InvalidOperationException error)
        {
            throw new JsonException("The text has half a character.", error);
        }

        return text.Contains('\0', StringComparison.Ordinal) ? throw new JsonException("The text holds U+0000.") : text;
    }
}
