using System.Globalization;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.MemoryService.Search;

/// <summary>A filter's clauses in words, for saying which of them a memory does not meet. Pure.</summary>
internal static class FilterWords
{
    /// <summary>The first clause that the fields do not meet; all clauses that must hold are looked at one by one.</summary>
    /// <returns>Null when they meet the filter.</returns>
    internal static string? FirstUnmet(FilterExpression filter, IReadOnlyDictionary<string, JsonElement> fields) => filter switch
    {
        FilterExpression.And and => and.Items.Select(item => FirstUnmet(item, fields)).FirstOrDefault(unmet => unmet is not null),
        _ => filter.Matches(fields) ? null : Of(filter),
    };

    // userId = "u"    n >= 10 and < 20    not (cat = "a")    (cat = "a" or cat = "b")
    internal static string Of(FilterExpression filter) => filter switch
    {
        FilterExpression.And { Items: [var only] } => Of(only),
        FilterExpression.Or { Items: [var only] } => Of(only),
        FilterExpression.And and => $"({string.Join(" and ", and.Items.Select(Of))})",
        FilterExpression.Or or => $"({string.Join(" or ", or.Items.Select(Of))})",
        FilterExpression.Not not => $"not {Of(not.Item)}",
        FilterExpression.Exists exists => $"{Name(exists.Field)} exists",
        FilterExpression.AnyOf { Values: [var only] } any => $"{Name(any.Field)} = {Value(only)}",
        FilterExpression.AnyOf any => $"{Name(any.Field)} in [{string.Join(", ", any.Values.Select(Value))}]",
        FilterExpression.Range range => $"{Name(range.Field)} {string.Join(" and ", Bounds(range))}",
        FilterExpression.Contains contains => $"{Name(contains.Field)} {(contains.IgnoreCase ? "icontains" : "contains")} {Quoted(contains.Text)}",
        _ => throw new NotSupportedException(filter.GetType().Name),
    };

    private static IEnumerable<string> Bounds(FilterExpression.Range range)
    {
        if (range.Lower is { } lower)
            yield return $"{(lower.Inclusive ? ">=" : ">")} {Value(lower.Value)}";
        if (range.Upper is { } upper)
            yield return $"{(upper.Inclusive ? "<=" : "<")} {Value(upper.Value)}";
    }

    // Columns by the names that the API has: session_id is sessionId.
    private static string Name(FilterField field) => field.Column is { } column ? JsonNamingPolicy.CamelCase.ConvertName(string.Concat(
        column.Split('_').Select(word => $"{char.ToUpperInvariant(word[0])}{word[1..]}"))) : string.Join('.', ["metadata", .. field.Path]);

    private static string Value(FilterValue value) => value.Value switch
    {
        string text => Quoted(text),
        Guid id => Quoted(id.ToString("D")),
        DateTimeOffset moment => moment.ToString("O", CultureInfo.InvariantCulture),
        bool flag => flag ? "true" : "false",
        var number => Convert.ToString(number, CultureInfo.InvariantCulture)!,
    };

    private static string Quoted(string text) => JsonSerializer.Serialize(text, ContractJson.Options);
}
