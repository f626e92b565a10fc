using AgentFlow.Contracts.Memories;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.MemoryService.Memories;

/// <summary>Subjects as a filter.</summary>
internal static class SubjectFilter
{
    internal const string UserId = "user_id";
    internal const string AgentId = "agent_id";
    internal const string SessionId = "session_id";
    internal const string AppId = "app_id";

    internal static readonly string[] Columns = [UserId, AgentId, SessionId, AppId];

    internal static bool IsEmpty(MemoryScope scope) =>
        scope.UserId is null && scope.AgentId is null && scope.SessionId is null && scope.AppId is null;

    /// <summary>Every subject that is given must be the memory's; null when none is given.</summary>
    internal static FilterExpression? Of(MemoryScope scope)
    {
        FilterExpression? filter = null;
        foreach (var (column, value) in Pairs(scope))
        {
            if (value is not null)
                filter = FilterExpression.AllOf(filter, new FilterExpression.AnyOf(new FilterField(column, []), [new FilterValue(value)]));
        }

        return filter;
    }

    internal static IEnumerable<(string Column, string? Value)> Pairs(MemoryScope scope) =>
        [(UserId, scope.UserId), (AgentId, scope.AgentId), (SessionId, scope.SessionId), (AppId, scope.AppId)];
}
