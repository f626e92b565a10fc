using AgentFlow.Contracts.Memories;
using AgentFlow.Retrieval.Filters;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Access;

/// <summary>Who calls: the owner, what he may do, and the subject that a key is bound to. Bound as a handler's parameter.</summary>
internal sealed record MemoryCaller(Guid OwnerId, IReadOnlyList<string> Scopes, MemoryScope? FixedSubject = null)
{
    /// <summary>For display only: a key's name, or the service that signed the token.</summary>
    public string Name { get; init; } = "internal";

    public static ValueTask<MemoryCaller?> BindAsync(HttpContext context) =>
        ValueTask.FromResult(context.Features.Get<MemoryCaller>());

    internal bool May(string scope) => Scopes.Contains(scope, StringComparer.Ordinal);

    /// <summary>Whether the key may touch a memory of these subjects.</summary>
    internal bool Sees(MemoryScope scope) => FixedSubject is null
        || (Fits(FixedSubject.UserId, scope.UserId) && Fits(FixedSubject.AgentId, scope.AgentId)
            && Fits(FixedSubject.SessionId, scope.SessionId) && Fits(FixedSubject.AppId, scope.AppId));

    /// <summary>The subjects that a write is for: those asked for, with the key's own ones filled in.</summary>
    /// <exception cref="ProblemException">Another subject than the key's is named (403).</exception>
    internal MemoryScope Bind(MemoryScope asked)
    {
        if (FixedSubject is null)
            return asked;
        var bound = new MemoryScope
        {
            UserId = FixedSubject.UserId ?? asked.UserId,
            AgentId = FixedSubject.AgentId ?? asked.AgentId,
            SessionId = FixedSubject.SessionId ?? asked.SessionId,
            AppId = FixedSubject.AppId ?? asked.AppId,
        };
        return Fits(asked.UserId, bound.UserId) && Fits(asked.AgentId, bound.AgentId) && Fits(asked.SessionId, bound.SessionId) && Fits(asked.AppId, bound.AppId)
            ? bound
            : throw new ProblemException(StatusCodes.Status403Forbidden, "subject_not_allowed", "This key is bound to another subject.");
    }

    /// <summary>The key's own condition on every read; null when it has none.</summary>
    internal FilterExpression? Condition() => FixedSubject is null ? null : Memories.SubjectFilter.Of(FixedSubject);

    private static bool Fits(string? wanted, string? found) => wanted is null || string.Equals(wanted, found, StringComparison.Ordinal);
}

/// <summary>What keys and internal tokens may be allowed.</summary>
internal static class AccessScopes
{
    internal const string Read = "read";

    internal const string Write = "write";

    /// <summary>Keys, resets and what else concerns the whole owner.</summary>
    internal const string Admin = "admin";

    /// <summary>As <c>memory.read</c> in an internal token.</summary>
    internal const string InternalPrefix = "memory.";

    internal static readonly IReadOnlyList<string> All = [Read, Write, Admin];
}
