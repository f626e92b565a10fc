using System.Text.Json;

namespace AgentFlow.Retrieval.Filters;

/// <summary>
/// Reads the filter grammar. <c>{"cat": "a", "n": {"gte": 10, "lt": 20}, "OR": [{"tag": "x"}, {"tag": {"contains": "y"}}], "NOT": {"opt": "*"}}</c>
/// All members of an object must hold. Operators: eq ne gt gte lt lte in nin contains icontains exists; a bare value is eq, a bare list is
/// in, a bare <c>"*"</c> is exists, null is missing. <c>metadata: {...}</c> names metadata keys that a column
/// would hide, or that are words of other query languages (must, should, $...). Pure.
/// </summary>
public static class FilterParser
{
    /// <summary>How deep AND, OR and NOT may be nested.</summary>
    public const int MaxDepth = 8;

    public const int MaxConditions = 200;

    /// <summary>In one list of in or nin.</summary>
    public const int MaxValues = 1_000;

    /// <summary>In characters, for contains and icontains; other values may have four times as many.</summary>
    public const int MaxTextLength = 1_000;

    /// <returns>Null with no error for an empty object, which is no condition; null with an error that names the place for a wrong filter.</returns>
    public static FilterExpression? Parse(JsonElement filter, FilterSchema schema, out FilterError? error)
    {
        ArgumentNullException.ThrowIfNull(schema);
        error = null;
        if (filter.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
            return null;
        try
        {
            return new Parsing(schema).Object(filter, string.Empty, depth: 0);
        }
        catch (FilterSyntaxException wrong)
        {
            error = new FilterError(wrong.Place, wrong.Message);
            return null;
        }
        catch (InvalidOperationException)
        {
            // A member's name with half a surrogate pair can't be read, so the place can't be told either.
            error = new FilterError(string.Empty, "a key is not valid Unicode");
            return null;
        }
    }

    private sealed class Parsing(FilterSchema schema)
    {
        private int _conditions;

        public FilterExpression? Object(JsonElement filter, string place, int depth)
        {
            if (filter.ValueKind != JsonValueKind.Object)
                throw new FilterSyntaxException(place, "an object is expected");
            var items = new List<FilterExpression>();
            foreach (var member in filter.EnumerateObject())
            {
                var at = place.Length == 0 ? member.Name : $"{place}.{member.Name}";
                switch (member.Name)
                {
                    case "AND":
                        items.Add(new FilterExpression.And(Group(member.Value, at, depth)));
                        break;
                    case "OR":
                        items.Add(new FilterExpression.Or(Group(member.Value, at, depth)));
                        break;
                    case "NOT":
                        items.Add(new FilterExpression.Not(new FilterExpression.Or(Group(member.Value, at, depth))));
                        break;
                    case FilterMatch.MetadataField when member.Value.ValueKind == JsonValueKind.Object:
                        foreach (var inner in member.Value.EnumerateObject())
                            items.AddRange(Conditions(null, Path(inner.Name, at), inner.Value, $"{at}.{inner.Name}"));
                        break;
                    default:
                        var column = schema.Find(member.Name);
                        if (column is null)
                            RefuseForeign(member.Name, at);
                        items.AddRange(Conditions(column, column is null ? Path(member.Name, at) : [], member.Value, at));
                        break;
                }
            }

            return items.Count switch { 0 => null, 1 => items[0], _ => new FilterExpression.And(items) };
        }

        /// <summary>
        /// Words that select in other query languages, and the owner, who is never anybody's to filter by: taken for names of metadata they
        /// would silently select something else than was meant.
        /// </summary>
        private static void RefuseForeign(string name, string place)
        {
            if (name is "owner_id" or "ownerId")
                throw new FilterSyntaxException(place, "the owner is not part of a filter; write metadata: {...} for a key of that name");
            if (name is "must" or "must_not" or "mustNot" or "should" or "min_should" or "minShould" || name.StartsWith('$'))
                throw new FilterSyntaxException(place, "this is no operator here: use AND, OR and NOT, or write metadata: {...} for a key of that name");
        }

        private List<FilterExpression> Group(JsonElement value, string place, int depth)
        {
            if (depth == MaxDepth)
                throw new FilterSyntaxException(place, $"AND, OR and NOT may be nested {MaxDepth} deep");
            var items = new List<FilterExpression>();
            if (value.ValueKind == JsonValueKind.Object)
            {
                Add(value, place);
            }
            else if (value.ValueKind == JsonValueKind.Array)
            {
                foreach (var item in value.EnumerateArray())
                    Add(item, $"{place}[{items.Count}]");
            }
            else
            {
                throw new FilterSyntaxException(place, "an object or a list of objects is expected");
            }

            return items.Count > 0 ? items : throw new FilterSyntaxException(place, "an empty group is refused, since it could mean everything or nothing");

            void Add(JsonElement item, string at) =>
                items.Add(Object(item, at, depth + 1) ?? throw new FilterSyntaxException(at, "an empty condition is refused here"));
        }

        private IEnumerable<FilterExpression> Conditions(FilterColumn? column, IReadOnlyList<string> path, JsonElement value, string place)
        {
            if (++_conditions > MaxConditions)
                throw new FilterSyntaxException(place, $"a filter has at most {MaxConditions} conditions");
            var field = new FilterField(column?.Name, path);
            var operands = new FilterOperands(field, column?.Kind);
            if (value.ValueKind != JsonValueKind.Object)
                return [value.ValueKind == JsonValueKind.Array ? operands.In(value, place) : operands.Bare(value, place)];
            var conditions = new List<FilterExpression>();
            (FilterBound? lower, FilterBound? upper) = (null, null);
            foreach (var member in value.EnumerateObject())
            {
                var at = $"{place}.{member.Name}";
                if (operands.Bound(member.Name, member.Value, at) is { } bound)
                {
                    ref var side = ref (member.Name[0] == 'g' ? ref lower : ref upper);
                    side = side is null ? bound : throw new FilterSyntaxException(at, "there is already a bound on this side");
                }
                else
                {
                    conditions.Add(operands.Condition(member.Name, member.Value, at));
                }
            }

            if (lower is not null || upper is not null)
            {
                if (lower is { } low && upper is { } high && low.Value.Value.GetType() != high.Value.Value.GetType())
                    throw new FilterSyntaxException(place, "the two bounds have different types");
                conditions.Add(new FilterExpression.Range(field, lower, upper));
            }

            return conditions.Count > 0 ? conditions : throw new FilterSyntaxException(place, "an operator is expected");
        }

        /// <summary>Splits <c>a.b\.c</c> into <c>a</c> and <c>b.c</c>.</summary>
        private static List<string> Path(string key, string place)
        {
            var keys = new List<string>();
            var current = new System.Text.StringBuilder();
            for (var i = 0; i < key.Length; i++)
            {
                if (key[i] == '\\' && i + 1 < key.Length && key[i + 1] is '.' or '\\')
                    current.Append(key[++i]);
                else if (key[i] != '.')
                    current.Append(key[i]);
                else
                    Close();
            }

            Close();
            return keys;

            void Close()
            {
                if (current.Length == 0 || current.ToString().Contains('\0', StringComparison.Ordinal))
                    throw new FilterSyntaxException(place, "a key is empty or holds U+0000");
                keys.Add(current.ToString());
                current.Clear();
            }
        }
    }
}

/// <summary>Stays inside the parser, which turns it into a <see cref="FilterError"/>.</summary>
internal sealed class FilterSyntaxException(string place, string message) : Exception(message)
{
    public string Place => place;
}
