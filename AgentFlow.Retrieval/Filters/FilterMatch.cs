using System.Text.Json;

namespace AgentFlow.Retrieval.Filters;

/// <summary>Evaluates a filter on a record in memory; agrees with <see cref="FilterSql"/>, which is the oracle in tests. Pure.</summary>
public static class FilterMatch
{
    public const string MetadataField = "metadata";

    /// <param name="fields">By column name; <c>metadata</c> holds the free object.</param>
    public static bool Matches(this FilterExpression filter, IReadOnlyDictionary<string, JsonElement> fields)
    {
        switch (filter)
        {
            case FilterExpression.And and:
                foreach (var item in and.Items)
                {
                    if (!item.Matches(fields))
                        return false;
                }

                return true;
            case FilterExpression.Or or:
                foreach (var item in or.Items)
                {
                    if (item.Matches(fields))
                        return true;
                }

                return false;
            case FilterExpression.Not not:
                return !not.Item.Matches(fields);
            case FilterExpression.Exists exists:
                return Find(exists.Field, fields) is { ValueKind: not (JsonValueKind.Null or JsonValueKind.Undefined) };
            case FilterExpression.AnyOf any:
                return AnyElement(Find(any.Field, fields), any, static (element, any) => EqualsAny(element, any.Values));
            case FilterExpression.Range range:
                return AnyElement(Find(range.Field, fields), range, static (element, range) => IsWithin(element, range));
            case FilterExpression.Contains contains:
                return AnyElement(Find(contains.Field, fields), contains, static (element, contains) => Holds(element, contains));
            default:
                throw new NotSupportedException(filter?.GetType().Name);
        }
    }

    private static JsonElement Find(FilterField field, IReadOnlyDictionary<string, JsonElement> fields)
    {
        if (field.Column is not null)
            return fields.TryGetValue(field.Column, out var value) ? value : default;
        if (!fields.TryGetValue(MetadataField, out var at))
            return default;
        foreach (var key in field.Path)
        {
            if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(key, out at))
                return default;
        }

        return at;
    }

    private static bool AnyElement<TCondition>(JsonElement value, TCondition condition, Func<JsonElement, TCondition, bool> holds)
    {
        if (value.ValueKind != JsonValueKind.Array)
            return holds(value, condition);
        foreach (var element in value.EnumerateArray())
        {
            if (holds(element, condition))
                return true;
        }

        return false;
    }

    private static bool EqualsAny(JsonElement element, IReadOnlyList<FilterValue> values)
    {
        foreach (var value in values)
        {
            var isEqual = value.Value switch
            {
                string text => element.ValueKind == JsonValueKind.String && element.ValueEquals(text),
                bool flag => element.ValueKind == (flag ? JsonValueKind.True : JsonValueKind.False),
                decimal number => element.ValueKind == JsonValueKind.Number && element.TryGetDecimal(out var other) && other == number,
                Guid id => element.ValueKind == JsonValueKind.String && element.TryGetGuid(out var other) && other == id,
                DateTimeOffset instant => FilterDate.TryRead(element, out var other) && other == instant,
                _ => false,
            };
            if (isEqual)
                return true;
        }

        return false;
    }

    private static bool IsWithin(JsonElement element, FilterExpression.Range range) =>
        (range.Lower is not { } lower || (Compare(element, lower.Value) is { } above && (above > 0 || (above == 0 && lower.Inclusive))))
        && (range.Upper is not { } upper || (Compare(element, upper.Value) is { } below && (below < 0 || (below == 0 && upper.Inclusive))));

    private static int? Compare(JsonElement element, FilterValue value)
    {
        switch (value.Value)
        {
            case decimal number when element.ValueKind == JsonValueKind.Number:
                // A number beyond a decimal's range (1e300) is still on the right side of every operand.
                return element.TryGetDecimal(out var other) ? other.CompareTo(number) : element.GetDouble().CompareTo((double)number);
            case DateTimeOffset instant when FilterDate.TryRead(element, out var moment):
                return moment.CompareTo(instant);
            default:
                return null;
        }
    }

    private static bool Holds(JsonElement element, FilterExpression.Contains contains)
    {
        if (element.ValueKind != JsonValueKind.String)
            return false;
        var text = element.GetString()!;
        return contains.IgnoreCase
            ? FilterCase.Fold(text).Contains(FilterCase.Fold(contains.Text), StringComparison.Ordinal)
            : text.Contains(contains.Text, StringComparison.Ordinal);
    }
}
