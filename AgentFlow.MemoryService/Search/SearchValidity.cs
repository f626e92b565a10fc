using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.MemoryService.Search;

/// <summary>What keeps closed and expired facts from crowding out others in the index. Pure.</summary>
internal static class SearchValidity
{
    /// <summary>
    /// The moment of expiry is cut to the minute, so that the index can keep the filter's result for later searches; the join is exact. All of
    /// it is ranges of dates, which also those lack that have none: Qdrant keeps numbers of its own for them, while whether a field is there is
    /// looked for in the list of all that a memory has.
    /// </summary>
    internal static FilterExpression Of(MemoryQuery query, DateTimeOffset now)
    {
        FilterExpression validity = query.AsOf is { } moment
            ? new FilterExpression.And([
                new FilterExpression.Range(MemoryFilters.ValidFrom, null, MemoryFilters.At(moment, inclusive: true)),
                new FilterExpression.Not(new FilterExpression.Range(MemoryFilters.ValidTo, null, MemoryFilters.At(moment, inclusive: true)))])
            : new FilterExpression.Not(new FilterExpression.Range(MemoryFilters.ValidTo, MemoryFilters.At(DateTimeOffset.MinValue, inclusive: true), null));
        if (query.Expired)
            return validity;
        var minute = new DateTimeOffset(now.UtcTicks - (now.UtcTicks % TimeSpan.TicksPerMinute), TimeSpan.Zero);
        return new FilterExpression.And([
            validity,
            new FilterExpression.Not(new FilterExpression.Range(MemoryFilters.ExpiresAt, null, MemoryFilters.At(minute, inclusive: false)))]);
    }
}
