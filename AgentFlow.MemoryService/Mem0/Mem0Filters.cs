using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.MemoryService.Mem0;

/// <summary>Filters as Mem0's clients send them, in our grammar, which has all of theirs and more.</summary>
internal static class Mem0Filters
{
    /// <param name="mustBind">A search or listing without a subject is refused, as Mem0 does.</param>
    internal static FilterExpression? Read(MemoryCaller caller, Mem0Body body, bool mustBind = true)
    {
        var filter = caller.Condition();
        if (body.Get("filters") is { } filters)
            filter = FilterExpression.AllOf(filter, Parse(filters));
        filter = FilterExpression.AllOf(filter, SubjectFilter.Of(body.Scope()));
        if (body.Texts("categories") is { Count: > 0 } categories)
            filter = FilterExpression.AllOf(filter, new FilterExpression.AnyOf(new FilterField("categories", []), [.. categories.Select(category => new FilterValue(category))]));
        if (body.Get("metadata") is { } metadata && metadata.ValueKind != JsonValueKind.Object)
            throw Mem0Edge.Invalid("metadata must be an object");
        else if (body.Get("metadata") is { } wanted && wanted.EnumerateObject().Any())
            filter = FilterExpression.AllOf(filter, Parse(JsonElement.Parse($$"""{"metadata":{{wanted.GetRawText()}}}""")));
        if (body.Text("keywords") is { Length: > 0 } keywords)
            filter = FilterExpression.AllOf(filter, new FilterExpression.Contains(new FilterField("text", []), keywords, IgnoreCase: true));
        filter = FilterExpression.AllOf(filter, Created(body));
        return !mustBind || filter?.Binds(SubjectFilter.Columns) == true
            ? filter
            : throw Mem0Edge.Invalid("filters must contain at least one of user_id, agent_id, app_id, run_id");
    }

    private static FilterExpression? Created(Mem0Body body)
    {
        var from = body.Moment("start_date");
        var to = body.Moment("end_date");
        return from is null && to is null
            ? null
            : new FilterExpression.Range(
                new FilterField("created_at", []),
                from is { } lower ? MemoryFilters.At(lower, inclusive: true) : null,
                to is { } upper ? MemoryFilters.At(upper, inclusive: true) : null);
    }

    private static FilterExpression? Parse(JsonElement filters)
    {
        var parsed = FilterParser.Parse(filters, MemoryFilters.Mem0Schema, out var error);
        return error is null ? parsed : throw Mem0Edge.Invalid(error.ToString());
    }

    internal static MemoryScope FromQuery(IQueryCollection query) => new()
    {
        UserId = Value(query, "user_id"), AgentId = Value(query, "agent_id"), SessionId = Value(query, "run_id"), AppId = Value(query, "app_id"),
    };

    /// <exception cref="ServiceDefaults.Problems.ProblemException">400: it is given twice; which of them is meant can not be guessed where something is deleted.</exception>
    private static string? Value(IQueryCollection query, string name) => !query.TryGetValue(name, out var value) ? null
        : value.Count > 1 ? throw Mem0Edge.Invalid($"{name} is given more than once")
        : value is [{ Length: > 0 } only] ? only : null;
}
