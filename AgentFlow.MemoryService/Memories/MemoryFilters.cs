using System.Text.Json;
using AgentFlow.MemoryService.Access;
using AgentFlow.Retrieval.Filters;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Memories;

/// <summary>What filters can name in a memory, under its own names and Mem0's; any other key is a path into the metadata.</summary>
internal static class MemoryFilters
{
    internal static readonly FilterField ValidFrom = new("valid_from", []);
    internal static readonly FilterField ValidTo = new("valid_to", []);
    internal static readonly FilterField ExpiresAt = new("expires_at", []);

    internal static readonly FilterSchema Schema = Make();

    /// <summary>Mem0's filters also call the text keywords; beside <c>metadata</c>, where that is a key like any other.</summary>
    internal static readonly FilterSchema Mem0Schema = Make("keywords", "keywords_search");

    private static FilterSchema Make(params string[] textAliases) => new(
        "m.metadata",
        new FilterColumn(SubjectFilter.UserId, FilterKind.Text, "m.user_id", "userId"),
        new FilterColumn(SubjectFilter.AgentId, FilterKind.Text, "m.agent_id", "agentId"),
        new FilterColumn(SubjectFilter.SessionId, FilterKind.Text, "m.session_id", "sessionId", "run_id", "runId"),
        new FilterColumn(SubjectFilter.AppId, FilterKind.Text, "m.app_id", "appId"),
        new FilterColumn("id", FilterKind.Id, "m.id", "memory_ids", "memoryIds"),
        new FilterColumn("kind", FilterKind.Text, "(case m.kind when 0 then 'fact' when 1 then 'message' else 'procedure' end)"),
        new FilterColumn("categories", FilterKind.TextList, "m.categories"),
        new FilterColumn("trust", FilterKind.Text, "(case m.trust when 0 then 'user' when 1 then 'inferred' else 'external' end)"),
        new FilterColumn("source", FilterKind.Text, "m.source"),
        new FilterColumn("role", FilterKind.Text, "m.role"),
        new FilterColumn("actor", FilterKind.Text, "m.actor", "actor_id", "actorId"),
        new FilterColumn("immutable", FilterKind.Flag, "m.immutable"),
        new FilterColumn("created_at", FilterKind.Instant, "m.created_at", "createdAt"),
        new FilterColumn("updated_at", FilterKind.Instant, "m.updated_at", "updatedAt"),
        new FilterColumn("observed_at", FilterKind.Instant, "m.observed_at", "observedAt", "timestamp"),
        new FilterColumn("expires_at", FilterKind.Instant, "m.expires_at", "expiresAt", "expiration_date", "expirationDate"),
        new FilterColumn("valid_from", FilterKind.Instant, "m.valid_from", "validFrom"),
        new FilterColumn("valid_to", FilterKind.Instant, "m.valid_to", "validTo"),
        new FilterColumn("text", FilterKind.Text, "m.text", textAliases));

    internal static FilterBound At(DateTimeOffset moment, bool inclusive) => new(new FilterValue(moment), inclusive);

    /// <summary>Reads a search's filter and adds what the caller's key is bound to.</summary>
    /// <exception cref="ProblemException">400: it can not be read, naming the place, or binds no subject.</exception>
    internal static FilterExpression Bind(MemoryCaller caller, JsonElement filter)
    {
        var parsed = Parse(filter);
        var bound = FilterExpression.AllOf(caller.Condition(), parsed);
        if (bound is null || !bound.Binds(SubjectFilter.Columns))
            throw new ProblemException(StatusCodes.Status400BadRequest, "no_scope", "The filter must bind at least one of userId, agentId, sessionId and appId to a value.");
        return bound;
    }

    internal static FilterExpression? Parse(JsonElement filter)
    {
        var parsed = FilterParser.Parse(filter, Schema, out var error);
        return error is null
            ? parsed
            : throw new ProblemException(StatusCodes.Status400BadRequest, "invalid_filter", error.ToString())
            {
                Errors = new Dictionary<string, string[]>(StringComparer.Ordinal) { [error.Place.Length == 0 ? "filter" : $"filter.{error.Place}"] = [error.Message] },
            };
    }
}
