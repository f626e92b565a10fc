using System.Text.Json;

namespace AgentFlow.Retrieval.Filters;

/// <summary>A filter as Qdrant's JSON, over payloads that <see cref="FilterKeys"/> wrote for the same columns of their own. Pure.</summary>
internal static class FilterQdrant
{
    /// <summary>
    /// Takes a filter apart as far as it is a conjunction: a group inside of a group is one more step for each point that is looked at.
    /// </summary>
    public static void Split(FilterExpression filter, List<FilterExpression> must, List<FilterExpression> mustNot)
    {
        switch (filter)
        {
            case FilterExpression.And and:
                foreach (var item in and.Items)
                    Split(item, must, mustNot);
                break;
            case FilterExpression.Not not:
                mustNot.Add(not.Item);
                break;
            default:
                must.Add(filter);
                break;
        }
    }

    /// <summary>Writes one condition, an object.</summary>
    public static void Write(Utf8JsonWriter writer, FilterExpression filter, IReadOnlySet<string> ownColumns)
    {
        switch (filter)
        {
            case FilterExpression.And and:
                WriteGroup(writer, "must", and.Items, ownColumns);
                break;
            case FilterExpression.Or or:
                WriteGroup(writer, "should", or.Items, ownColumns);
                break;
            case FilterExpression.Not not:
                WriteGroup(writer, "must_not", [not.Item], ownColumns);
                break;
            case FilterExpression.Exists exists:
                WriteTokens(writer, FilterKeys.Tokens, [FilterKeys.Exists(exists.Field)]);
                break;
            case FilterExpression.AnyOf any:
                WriteTokens(writer, FilterKeys.EqualKey(any.Field, ownColumns), [.. any.Values.Select(value => FilterKeys.Equal(any.Field, value))]);
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
    private static void WriteGroup(Utf8JsonWriter writer, string name, IReadOnlyList<FilterExpression> items, IReadOnlySet<string> ownColumns)
    {
        if (items.Count == 0)
        {
            items = [new FilterExpression.AnyOf(new FilterField(null, []), [])];
            name = name == "must" ? "must_not" : "must";
        }

        writer.WriteStartObject();
        writer.WriteStartArray(name);
        foreach (var item in items)
            Write(writer, item, ownColumns);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteTokens(Utf8JsonWriter writer, string key, IReadOnlyList<string> tokens)
    {
        writer.WriteStartObject();
        writer.WriteString("key", key);
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
