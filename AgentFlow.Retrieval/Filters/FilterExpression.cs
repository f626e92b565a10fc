using System.Text.Json;

namespace AgentFlow.Retrieval.Filters;

/// <summary>
/// A condition over a record's fields. Two-valued: a condition on a field that is missing or null is false, and its negation true. On a
/// field that holds a list a condition holds when it holds for one of the elements.
/// </summary>
public abstract record FilterExpression
{
    private FilterExpression()
    {
    }

    public sealed record And(IReadOnlyList<FilterExpression> Items) : FilterExpression;

    public sealed record Or(IReadOnlyList<FilterExpression> Items) : FilterExpression;

    public sealed record Not(FilterExpression Item) : FilterExpression;

    /// <summary>The field is there and not null; an empty list counts as there.</summary>
    public sealed record Exists(FilterField Field) : FilterExpression;

    /// <summary>Equals one of the values, in type and value: the text "1" is not the number 1.</summary>
    public sealed record AnyOf(FilterField Field, IReadOnlyList<FilterValue> Values) : FilterExpression;

    /// <summary>Between bounds of one type, numbers or instants; at least one bound is given.</summary>
    public sealed record Range(FilterField Field, FilterBound? Lower, FilterBound? Upper) : FilterExpression;

    /// <summary>The text holds the given one anywhere; a list holds it when one of its elements does.</summary>
    public sealed record Contains(FilterField Field, string Text, bool IgnoreCase) : FilterExpression;

    /// <summary>Both must hold; null is no condition.</summary>
    public static FilterExpression? AllOf(FilterExpression? first, FilterExpression? second) =>
        first is null ? second : second is null ? first : new And([first, second]);

    /// <summary>True when whatever matches must have one of the fields at a value that the filter names (wildcards and negations don't count).</summary>
    public bool Binds(params ReadOnlySpan<string> columns)
    {
        switch (this)
        {
            case And and:
                foreach (var item in and.Items)
                {
                    if (item.Binds(columns))
                        return true;
                }

                return false;
            case Or or:
                foreach (var item in or.Items)
                {
                    if (!item.Binds(columns))
                        return false;
                }

                return or.Items.Count > 0;
            case AnyOf any:
                return any.Field.Column is { } column && columns.Contains(column);
            default:
                return false;
        }
    }
}

/// <param name="Column">The schema's field, or null for a path into the metadata.</param>
/// <param name="Path">Keys into the metadata object, outermost first; empty for a column.</param>
public sealed record FilterField(string? Column, IReadOnlyList<string> Path);

/// <param name="Value">Text (<see cref="string"/>), number (<see cref="decimal"/>), <see cref="bool"/>, <see cref="Guid"/>, or instant (<see cref="DateTimeOffset"/>).</param>
public readonly record struct FilterValue(object Value);

/// <param name="Value">Number or instant.</param>
public readonly record struct FilterBound(FilterValue Value, bool Inclusive);
