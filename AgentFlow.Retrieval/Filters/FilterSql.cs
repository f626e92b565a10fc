using System.Globalization;
using System.Text;
using System.Text.Json;

namespace AgentFlow.Retrieval.Filters;

/// <summary>
/// A filter as a boolean SQL expression: parameters only, never null, no dependence on the database's locale. Text is searched with
/// <c>strpos</c> and, ignoring case, with a regular expression that spells out both cases, so that no character is a wildcard.
/// </summary>
public static class FilterSql
{
    /// <summary>A text that <see cref="FilterDate"/> reads, as far as a regular expression can say it; the day is checked beside it.</summary>
    private const string InstantPattern =
        @"^(?!9999)[1-9]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-](0\d|1[0-3]):[0-5]\d|[+-]14:00))?$";

    /// <param name="parameters">Values are appended; the expression refers to them by position, so earlier entries stay what they were.</param>
    public static string Build(FilterExpression filter, FilterSchema schema, IList<object?> parameters)
    {
        ArgumentNullException.ThrowIfNull(schema);
        ArgumentNullException.ThrowIfNull(parameters);
        return new Writer(schema, parameters).Write(filter);
    }

    private sealed class Writer(FilterSchema schema, IList<object?> parameters)
    {
        public string Write(FilterExpression filter) => filter switch
        {
            FilterExpression.And and => Join(and.Items, " and ", "true"),
            FilterExpression.Or or => Join(or.Items, " or ", "false"),
            FilterExpression.Not not => $"(not {Write(not.Item)})",
            FilterExpression.Exists exists => exists.Field.Column is { } name
                ? $"({Column(name).Sql} is not null)"
                : $"(coalesce(jsonb_typeof({Path(exists.Field)}), 'null') <> 'null')",
            FilterExpression.AnyOf any => any.Field.Column is { } name ? AnyOf(Column(name), any.Values) : AnyOf(any),
            FilterExpression.Range range => range.Field.Column is { } name ? Range(Column(name), range) : Range(range),
            FilterExpression.Contains contains => contains.Field.Column is { } name ? Contains(Column(name), contains) : Contains(contains),
            _ => throw new NotSupportedException(filter.GetType().Name),
        };

        private string Join(IReadOnlyList<FilterExpression> items, string between, string whenEmpty) =>
            items.Count == 0 ? whenEmpty : $"({string.Join(between, items.Select(Write))})";

        private FilterColumn Column(string name) => schema.Find(name) ?? throw new ArgumentException($"The schema has no column {name}.", nameof(name));

        private string Parameter(object value, string type)
        {
            parameters.Add(value);
            return $"${parameters.Count}::{type}";
        }

        private static string Known(string condition) => $"coalesce({condition}, false)";

        private string AnyOf(FilterColumn column, IReadOnlyList<FilterValue> values) => Known(column.Kind switch
        {
            FilterKind.Text => $"{column.Sql} = any({Parameter(Array<string>(values), "text[]")})",
            FilterKind.TextList => $"{column.Sql} && {Parameter(Array<string>(values), "text[]")}",
            FilterKind.Id => $"{column.Sql} = any({Parameter(Array<Guid>(values), "uuid[]")})",
            FilterKind.Instant => $"{column.Sql} = any({Parameter(values.Select(Utc).ToArray(), "timestamptz[]")})",
            FilterKind.Number => $"{column.Sql} = any({Parameter(Array<decimal>(values), "numeric[]")})",
            FilterKind.Flag => $"{column.Sql} = any({Parameter(Array<bool>(values), "boolean[]")})",
            _ => throw new NotSupportedException(column.Kind.ToString()),
        });

        private string Range(FilterColumn column, FilterExpression.Range range) =>
            Known(Bounds(range, bound => (column.Sql, bound is DateTimeOffset ? "timestamptz" : "numeric")));

        private string Contains(FilterColumn column, FilterExpression.Contains contains) => column.Kind == FilterKind.TextList
            ? $"exists (select 1 from unnest({column.Sql}) as e(v) where {Holds("e.v", contains)})"
            : Known(Holds(column.Sql, contains));

        private string AnyOf(FilterExpression.AnyOf any) =>
            AnyElement(any.Field, $"e.v = any({Parameter(any.Values.Select(Json).ToArray(), "text[]::jsonb[]")})");

        private string Range(FilterExpression.Range range)
        {
            var isInstant = (range.Lower ?? range.Upper)!.Value.Value.Value is DateTimeOffset;
            const string Text = "(e.v #>> '{}')";
            return AnyElement(range.Field, isInstant
                ? $"case when jsonb_typeof(e.v) = 'string' and {Text} ~ {Parameter(InstantPattern, "text")} then case when {IsDay(Text)} then " +
                  $"{Bounds(range, _ => ($"(case when length({Text}) = 10 then {Text} || 'T00:00:00Z' else {Text} end)::timestamptz", "timestamptz"))} else false end else false end"
                : $"case when jsonb_typeof(e.v) = 'number' then {Bounds(range, _ => ("(e.v)::numeric", "numeric"))} else false end");
        }

        private string Contains(FilterExpression.Contains contains) =>
            AnyElement(contains.Field, $"case when jsonb_typeof(e.v) = 'string' then {Holds("(e.v #>> '{}')", contains)} else false end");

        private string Holds(string text, FilterExpression.Contains contains) => contains.IgnoreCase
            ? $"{text} ~ {Parameter(CasePattern(contains.Text), "text")}"
            : $"strpos({text}, {Parameter(contains.Text, "text")}) > 0";

        private string AnyElement(FilterField field, string condition)
        {
            var path = Path(field);
            return $"exists (select 1 from jsonb_array_elements(case jsonb_typeof({path}) when 'array' then {path} else jsonb_build_array({path}) end) as e(v) where {condition})";
        }

        private string Path(FilterField field) =>
            $"({schema.MetadataSql}{string.Concat(field.Path.Select(key => $" -> {Parameter(key, "text")}"))})";

        private string Bounds(FilterExpression.Range range, Func<object, (string Sql, string Type)> read)
        {
            var conditions = new List<string>(2);
            Add(range.Lower, ">");
            Add(range.Upper, "<");
            return string.Join(" and ", conditions);

            void Add(FilterBound? bound, string comparison)
            {
                if (bound is not { } given)
                    return;
                var (sql, type) = read(given.Value.Value);
                var value = given.Value.Value is DateTimeOffset ? (object)Utc(given.Value) : given.Value.Value;
                conditions.Add($"{sql} {comparison}{(given.Inclusive ? "=" : "")} {Parameter(value, type)}");
            }
        }

        /// <summary>Whether the day exists in its month; the text is known to match the pattern.</summary>
        private static string IsDay(string text) =>
            $"substr({text}, 9, 2)::int <= extract(day from make_date(substr({text}, 1, 4)::int, substr({text}, 6, 2)::int, 1) + interval '1 month' - interval '1 day')";
    }

    private static T[] Array<T>(IReadOnlyList<FilterValue> values) => [.. values.Select(value => (T)value.Value)];

    private static DateTimeOffset Utc(FilterValue value) => ((DateTimeOffset)value.Value).ToUniversalTime();

    private static string Json(FilterValue value) => value.Value switch
    {
        string text => JsonSerializer.Serialize(text),
        decimal number => number.ToString(CultureInfo.InvariantCulture),
        bool flag => flag ? "true" : "false",
        Guid id => JsonSerializer.Serialize(id),
        _ => throw new NotSupportedException(value.Value.GetType().Name),
    };

    /// <summary>An advanced regular expression that matches the text in any case, by single characters.</summary>
    private static string CasePattern(string text)
    {
        var pattern = new StringBuilder();
        foreach (var c in text)
        {
            var variants = FilterCase.Variants(c);
            if (variants.Length > 1)
                pattern.Append('[').Append(variants).Append(']');
            else if (c < 0x80 && !char.IsLetterOrDigit(c) && c > ' ')
                pattern.Append('\\').Append(c);
            else
                pattern.Append(c);
        }

        return pattern.ToString();
    }
}
