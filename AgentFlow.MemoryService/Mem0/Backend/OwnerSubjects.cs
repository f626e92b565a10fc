using System.Globalization;
using System.Text.Json.Nodes;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Mem0.Backend;

/// <summary>
/// One account at Mem0 keeps the memories of many owners: each subject goes there with its owner before it, and what comes back without the
/// caller's own is not his. Pure.
/// </summary>
internal static class OwnerSubjects
{
    private static readonly (string Column, string Theirs)[] Names =
        [(SubjectFilter.UserId, "user_id"), (SubjectFilter.AgentId, "agent_id"), (SubjectFilter.SessionId, "run_id"), (SubjectFilter.AppId, "app_id")];

    private static readonly Dictionary<string, string> Columns = new(StringComparer.Ordinal)
    {
        ["id"] = "memory_ids", ["categories"] = "categories", ["created_at"] = "created_at", ["updated_at"] = "updated_at", ["observed_at"] = "timestamp",
        ["expires_at"] = "expiration_date", ["text"] = "text",
    };

    internal static string Prefix(Guid owner) => $"{owner:N}:";

    /// <summary>Writes the subjects into a body of theirs.</summary>
    internal static void Write(JsonObject body, Guid owner, MemoryScope scope)
    {
        foreach (var ((_, value), (_, theirs)) in SubjectFilter.Pairs(scope).Zip(Names))
        {
            if (value is not null)
                body[theirs] = Prefix(owner) + value;
        }
    }

    internal static string Query(Guid owner, MemoryScope scope) => string.Join('&', SubjectFilter.Pairs(scope).Zip(Names)
        .Where(pair => pair.First.Value is not null)
        .Select(pair => $"{pair.Second.Theirs}={Uri.EscapeDataString(Prefix(owner) + pair.First.Value)}"));

    /// <returns>Null when a subject is another owner's, or there is none.</returns>
    internal static MemoryScope? Read(JsonObject memory, Guid owner)
    {
        var values = new string?[Names.Length];
        for (var i = 0; i < Names.Length; i++)
        {
            var value = Text(memory, Names[i].Theirs) ?? (Names[i].Theirs == "run_id" ? Text(memory, "session_id") : null);
            if (value is null)
                continue;
            if (!value.StartsWith(Prefix(owner), StringComparison.Ordinal))
                return null;
            values[i] = value[Prefix(owner).Length..];
        }

        return values.All(value => value is null) ? null : new MemoryScope { UserId = values[0], AgentId = values[1], SessionId = values[2], AppId = values[3] };
    }

    /// <summary>A filter in Mem0's grammar.</summary>
    /// <exception cref="ProblemException">501: it names something that Mem0 does not keep.</exception>
    internal static JsonObject Filter(FilterExpression filter, Guid owner) => filter switch
    {
        FilterExpression.And and => new JsonObject { ["AND"] = List(and.Items, owner) },
        FilterExpression.Or or => new JsonObject { ["OR"] = List(or.Items, owner) },
        FilterExpression.Not not => new JsonObject { ["NOT"] = new JsonArray(Filter(not.Item, owner)) },
        FilterExpression.Exists exists => Condition(exists.Field, JsonValue.Create("*")),
        FilterExpression.AnyOf any => Condition(any.Field, Values(any, owner)),
        FilterExpression.Range range => Condition(range.Field, Bounds(range)),
        FilterExpression.Contains contains => Condition(contains.Field, new JsonObject { [contains.IgnoreCase ? "icontains" : "contains"] = contains.Text }),
        _ => throw Mem0Backend.NotThere("This filter"),
    };

    private static JsonArray List(IReadOnlyList<FilterExpression> items, Guid owner) => new([.. items.Select(item => (JsonNode)Filter(item, owner))]);

    private static JsonObject Condition(FilterField field, JsonNode condition)
    {
        if (field.Column is null)
            return new JsonObject { ["metadata"] = field.Path.Reverse().Aggregate(condition, (inner, key) => new JsonObject { [key] = inner }) };
        var theirs = Names.FirstOrDefault(name => name.Column == field.Column).Theirs ?? Columns.GetValueOrDefault(field.Column);
        return theirs is null ? throw Mem0Backend.NotThere($"A filter on {field.Column}") : new JsonObject { [theirs] = condition };
    }

    private static JsonNode Values(FilterExpression.AnyOf any, Guid owner)
    {
        var prefix = Names.Any(name => name.Column == any.Field.Column) ? Prefix(owner) : string.Empty;
        var values = any.Values.Select(value => Value(value, prefix)).ToArray();
        return values.Length == 1 && any.Field.Column is not ("categories" or "id") ? values[0] : new JsonObject { ["in"] = new JsonArray(values) };
    }

    private static JsonObject Bounds(FilterExpression.Range range)
    {
        var bounds = new JsonObject();
        if (range.Lower is { } lower)
            bounds[lower.Inclusive ? "gte" : "gt"] = Value(lower.Value, string.Empty);
        if (range.Upper is { } upper)
            bounds[upper.Inclusive ? "lte" : "lt"] = Value(upper.Value, string.Empty);
        return bounds;
    }

    private static JsonNode Value(FilterValue value, string prefix) => value.Value switch
    {
        string text => prefix + text,
        decimal number => number,
        bool flag => flag,
        DateTimeOffset moment => moment.UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
        var other => Convert.ToString(other, CultureInfo.InvariantCulture)!,
    };

    internal static string? Text(JsonObject node, string name) => node.TryGetPropertyValue(name, out var value) && value is JsonValue text && text.TryGetValue<string>(out var read) ? read : null;
}
