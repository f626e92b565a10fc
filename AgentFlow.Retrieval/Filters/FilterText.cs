using System.Globalization;
using System.Text;

namespace AgentFlow.Retrieval.Filters;

/// <summary>One text for each filter; equal filters in equal order give the same one. Used as a cache key, never parsed.</summary>
internal static class FilterText
{
    public static string Canonical(FilterExpression filter)
    {
        var text = new StringBuilder();
        Append(text, filter);
        return text.ToString();
    }

    private static void Append(StringBuilder text, FilterExpression filter)
    {
        switch (filter)
        {
            case FilterExpression.And and:
                AppendAll(text, "and", and.Items);
                break;
            case FilterExpression.Or or:
                AppendAll(text, "or", or.Items);
                break;
            case FilterExpression.Not not:
                AppendAll(text, "not", [not.Item]);
                break;
            case FilterExpression.Exists exists:
                AppendField(text.Append("exists"), exists.Field);
                break;
            case FilterExpression.AnyOf any:
                AppendField(text.Append("any"), any.Field);
                foreach (var value in any.Values)
                    AppendValue(text, value);
                break;
            case FilterExpression.Range range:
                AppendField(text.Append("range"), range.Field);
                AppendBound(text, range.Lower);
                AppendBound(text, range.Upper);
                break;
            case FilterExpression.Contains contains:
                AppendField(text.Append(contains.IgnoreCase ? "icontains" : "contains"), contains.Field);
                AppendQuoted(text, contains.Text);
                break;
            default:
                throw new NotSupportedException(filter.GetType().Name);
        }
    }

    private static void AppendAll(StringBuilder text, string name, IReadOnlyList<FilterExpression> items)
    {
        text.Append(name).Append('(');
        foreach (var item in items)
            Append(text, item);
        text.Append(')');
    }

    private static void AppendField(StringBuilder text, FilterField field)
    {
        text.Append(field.Column is null ? '/' : '.');
        if (field.Column is not null)
            AppendQuoted(text, field.Column);
        foreach (var key in field.Path)
            AppendQuoted(text, key);
    }

    private static void AppendBound(StringBuilder text, FilterBound? bound)
    {
        if (bound is { } given)
            AppendValue(text.Append(given.Inclusive ? '[' : '('), given.Value);
        else
            text.Append('-');
    }

    private static void AppendValue(StringBuilder text, FilterValue value)
    {
        // The type goes first: the text "1" and the number 1 are different filters.
        text.Append(value.Value.GetType().Name);
        AppendQuoted(text, value.Value is DateTimeOffset instant
            ? instant.UtcTicks.ToString(CultureInfo.InvariantCulture)
            : Convert.ToString(value.Value, CultureInfo.InvariantCulture)!);
    }

    /// <summary>With the length first, nothing inside can be taken for a separator.</summary>
    private static void AppendQuoted(StringBuilder text, string value) => text.Append(value.Length).Append(':').Append(value);
}
