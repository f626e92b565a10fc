using System.Text.Json;

namespace AgentFlow.Retrieval.Filters;

/// <summary>A filter as Qdrant's JSON, over payloads that <see cref="FilterKeys"/> wrote. Pure.</summary>
internal static class FilterQdrant
{
    /// <summary>Writes one condition, an object.</summary>
    public static void Write(Utf8JsonWriter writer, FilterExpression filter)
    {
        switch (filter)
        {
            case FilterExpression.And and:
                WriteGroup(writer, "must", and.Items);
                break;
            case FilterExpression.Or or:
                WriteGroup(writer, "should", or.Items);
                break;
            case FilterExpression.Not not:
                WriteGroup(writer, "must_not", [not.Item]);
                break;
            case FilterExpression.Exists exists:
                WriteTokens(writer, [FilterKeys.Exists(exists.Field)]);
                break;
            case FilterExpression.AnyOf any:
                WriteTokens(writer, [.. any.Values.Select(value => FilterKeys.Equal(any.Field, value))]);
                break;
            case FilterExpression.Range range:
                WriteRange(writer, range);
                break;
            case FilterExpression.Contains contains:
                WriteMatch(writer, FilterKeys.Key(contains.Field, contains.IgnoreCase ? 'l' : 's'), contains.IgnoreCase ? FilterCase.Fold(contains.Text) : contains.Text);
                break;
            default:
                throw new NotSupportedException(filter.GetType().Name);
        }
    }

    /// <summary>An empty group is spelled out, since an empty list would be no condition at all.</summary>
    private static void WriteGroup(Utf8JsonWriter writer, string name, IReadOnlyList<FilterExpression> items)
    {
        if (items.Count == 0)
        {
            items = [new FilterExpression.AnyOf(new FilterField(null, []), [])];
            name = name == "must" ? "must_not" : "must";
        }

        writer.WriteStartObject();
        writer.WriteStartArray(name);
        foreach (var item in items)
            Write(writer, item);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteTokens(Utf8JsonWriter writer, IReadOnlyList<string> tokens)
    {
        writer.WriteStartObject();
        writer.WriteString("key", FilterKeys.Tokens);
        writer.WriteStartObject("match");
        writer.WriteStartArray("any");
        foreach (var token in tokens)
            writer.WriteStringValue(token);
        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteMatch(Utf8JsonWriter writer, string key, string text)
    {
        writer.WriteStartObject();
        writer.WriteString("key", key);

        // The key has no full-text index, so this is an exact search for a part of the text.
        writer.WriteStartObject("match");
        writer.WriteString("text", text);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteRange(Utf8JsonWriter writer, FilterExpression.Range range)
    {
        var isInstant = (range.Lower ?? range.Upper)!.Value.Value.Value is DateTimeOffset;
        writer.WriteStartObject();
        writer.WriteString("key", FilterKeys.Key(range.Field, isInstant ? 'i' : 'n'));
        writer.WriteStartObject("range");
        WriteBound(range.Lower, "gt");
        WriteBound(range.Upper, "lt");
        writer.WriteEndObject();
        writer.WriteEndObject();

        void WriteBound(FilterBound? bound, string name)
        {
            if (bound is not { } given)
                return;
            var value = given.Value.Value is DateTimeOffset instant ? FilterKeys.Micros(instant) : (double)(decimal)given.Value.Value;
            writer.WriteNumber(given.Inclusive ? name + "e" : name, value);
        }
    }
}
