namespace AgentFlow.MemoryService.Memories;

/// <summary>A live memory of the same subjects that states the same slot, or that a model named as contradicted.</summary>
internal sealed record SupersessionCandidate(Guid Id, byte[] ContentHash, DateTimeOffset ValidFrom, bool Immutable);

/// <summary>How a new fact and the facts it contradicts fit on the line of time.</summary>
/// <param name="Closed">Memories that end where the new fact begins.</param>
/// <param name="ValidTo">Set when the new fact is older than what is known: it is stored as already closed by <paramref name="ClosedBy"/>.</param>
internal sealed record SupersessionPlan(IReadOnlyList<Guid> Closed, DateTimeOffset? ValidTo, Guid? ClosedBy)
{
    internal static readonly SupersessionPlan Nothing = new([], null, null);
}

/// <summary>
/// Decides what a new fact closes. Pure. A fact that began later ends the ones it contradicts at its own beginning; a fact that began
/// earlier than a contradicting one was true until that one began; an immutable memory is never closed, and then neither is the new one.
/// </summary>
internal static class Supersession
{
    internal static SupersessionPlan Decide(byte[] contentHash, DateTimeOffset validFrom, IReadOnlyList<SupersessionCandidate> contradicted)
    {
        var others = contradicted.Where(candidate => !candidate.Immutable && !candidate.ContentHash.AsSpan().SequenceEqual(contentHash)).ToList();
        var closed = others.Where(candidate => candidate.ValidFrom <= validFrom).Select(candidate => candidate.Id).ToList();
        var next = others.Where(candidate => candidate.ValidFrom > validFrom).MinBy(candidate => candidate.ValidFrom);
        return next is null
            ? new SupersessionPlan(closed, null, null)
            : new SupersessionPlan(closed, next.ValidFrom, next.Id);
    }
}
