using System.Text.Json;

namespace AgentFlow.Retrieval.Filters;

/// <summary>Operators and their values for one field.</summary>
/// <param name="kind">Null for metadata, whose values have the type that they were written with.</param>
internal sealed class FilterOperands(FilterField field, FilterKind? kind)
{
    public FilterExpression Bare(JsonElement value, string place) =>
        value.ValueKind == JsonValueKind.String && value.GetRawText() == "\"*\"" ? new FilterExpression.Exists(field) : Condition("eq", value, place);

    public FilterExpression Condition(string name, JsonElement value, string place) => name switch
    {
        "eq" => value.ValueKind == JsonValueKind.Null ? Missing : Any([Value(value, place)]),
        "ne" => value.ValueKind == JsonValueKind.Null ? new FilterExpression.Exists(field) : new FilterExpression.Not(Any([Value(value, place)])),
        "in" => In(value, place),
        "nin" => new FilterExpression.Not(In(value, place)),
        "contains" => Contains(value, place, ignoreCase: false),
        "icontains" => Contains(value, place, ignoreCase: true),
        "exists" => value.ValueKind switch
        {
            JsonValueKind.True => new FilterExpression.Exists(field),
            JsonValueKind.False => Missing,
            _ => throw new FilterSyntaxException(place, "true or false is expected"),
        },
        _ => throw new FilterSyntaxException(place, "unknown operator; known are eq, ne, gt, gte, lt, lte, in, nin, contains, icontains, exists"),
    };

    public FilterExpression In(JsonElement value, string place)
    {
        if (value.ValueKind != JsonValueKind.Array)
            throw new FilterSyntaxException(place, "a list is expected");
        if (value.GetArrayLength() > FilterParser.MaxValues)
            throw new FilterSyntaxException(place, $"a list has at most {FilterParser.MaxValues} values");
        var values = new List<FilterValue>();
        var holdsNull = false;
        foreach (var item in value.EnumerateArray())
        {
            if (item.ValueKind == JsonValueKind.Null)
                holdsNull = true;
            else
                values.Add(Value(item, $"{place}[{values.Count}]"));
        }

        return holdsNull ? new FilterExpression.Or([Any(values), Missing]) : Any(values);
    }

    /// <summary>Null when the operator is not one of gt, gte, lt, lte.</summary>
    public FilterBound? Bound(string name, JsonElement value, string place)
    {
        if (name is not ("gt" or "gte" or "lt" or "lte"))
            return null;
        if (kind is FilterKind.Text or FilterKind.TextList or FilterKind.Id or FilterKind.Flag)
            throw new FilterSyntaxException(place, $"{field.Column} has no order");
        var bound = value.ValueKind == JsonValueKind.String && kind is null ? Instant(value, place) : Value(value, place);
        return bound.Value is decimal or DateTimeOffset
            ? new FilterBound(bound, Inclusive: name.Length == 3)
            : throw new FilterSyntaxException(place, "a number or a date is expected");
    }

    private FilterExpression.Not Missing { get; } = new(new FilterExpression.Exists(@field));

    private FilterExpression.AnyOf Any(IReadOnlyList<FilterValue> values) => new(field, values);

    private FilterExpression Contains(JsonElement value, string place, bool ignoreCase)
    {
        if (kind is not (null or FilterKind.Text or FilterKind.TextList))
            throw new FilterSyntaxException(place, $"{field.Column} is not text");
        if (value.ValueKind != JsonValueKind.String)
            return kind is null ? Any([Value(value, place)]) : throw new FilterSyntaxException(place, "text is expected");
        var text = Text(value, place, FilterParser.MaxTextLength);
        return text.Length > 0 ? new FilterExpression.Contains(field, text, ignoreCase) : throw new FilterSyntaxException(place, "empty text is in every text");
    }

    private FilterValue Value(JsonElement value, string place) => kind switch
    {
        null => value.ValueKind switch
        {
            JsonValueKind.String => new FilterValue(Text(value, place, 4 * FilterParser.MaxTextLength)),
            JsonValueKind.Number => Number(value, place),
            JsonValueKind.True or JsonValueKind.False => new FilterValue(value.GetBoolean()),
            _ => throw new FilterSyntaxException(place, "text, a number, true, false or null is expected"),
        },
        FilterKind.Text or FilterKind.TextList => value.ValueKind == JsonValueKind.String
            ? new FilterValue(Text(value, place, 4 * FilterParser.MaxTextLength))
            : throw new FilterSyntaxException(place, $"{field.Column} is text"),
        FilterKind.Id => value.ValueKind == JsonValueKind.String && value.TryGetGuid(out var id)
            ? new FilterValue(id)
            : throw new FilterSyntaxException(place, $"{field.Column} is a UUID"),
        FilterKind.Instant => Instant(value, place),
        FilterKind.Number => value.ValueKind == JsonValueKind.Number ? Number(value, place) : throw new FilterSyntaxException(place, $"{field.Column} is a number"),
        FilterKind.Flag => value.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? new FilterValue(value.GetBoolean())
            : throw new FilterSyntaxException(place, $"{field.Column} is true or false"),
        _ => throw new NotSupportedException(kind.ToString()),
    };

    private static FilterValue Number(JsonElement value, string place) =>
        value.TryGetDecimal(out var number) ? new FilterValue(number) : throw new FilterSyntaxException(place, "the number is too large");

    private static FilterValue Instant(JsonElement value, string place) =>
        FilterDate.TryRead(value, out var instant)
            ? new FilterValue(instant)
            : throw new FilterSyntaxException(place, "a date is expected, as 2026-05-07 or 2026-05-07T10:00:00Z");

    private static string Text(JsonElement value, string place, int maxLength)
    {
        string text;
        try
        {
            text = value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new FilterSyntaxException(place, "the text is not valid Unicode");
        }

        if (text.Length > maxLength)
            throw new FilterSyntaxException(place, $"the text has more than {maxLength} characters");
        return text.Contains('\0', StringComparison.Ordinal) ? throw new FilterSyntaxException(place, "the text holds U+0000") : text;
    }
}
