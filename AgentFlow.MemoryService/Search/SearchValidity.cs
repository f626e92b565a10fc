using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.MemoryService.Search;

/// <summary>What keeps closed and expired facts from crowding out others in the index. Pure.</summary>
internal static class SearchValidity
{
    /// <summary>
    /// The moment of expiry is cut to the minute, so that the index can keep the filter's result for later searches; the join is exact.
    /// </summary>
    internal static FilterExpression Of(MemoryQuery query, DateTimeOffset now)
    {
        FilterExpression validity = query.AsOf is { } moment
            ? new FilterExpression.And([
                new FilterExpression.Range(MemoryFilters.ValidFrom, null, MemoryFilters.At(moment, inclusive: true)),
                new FilterExpression.Or([
                    new FilterExpression.Not(new FilterExpression.Exists(MemoryFilters.ValidTo)),
                    new FilterExpression.Range(MemoryFilters.ValidTo, MemoryFilters.At(moment, inclusive: false), null)])])
            : new FilterExpression.Not(new FilterExpression.Exists(MemoryFilters.ValidTo));
        if (query.Expired)
            return validity;
        var minute = new DateTimeOffset(now.UtcTicks - (now.UtcTicks % TimeSpan.TicksPerMinute), TimeSpan.Zero);
        return new FilterExpression.And([
            validity,
            new FilterExpression.Or([
                new FilterExpression.Not(new FilterExpression.Exists(MemoryFilters.ExpiresAt)),
                new FilterExpression.Range(MemoryFilters.ExpiresAt, MemoryFilters.At(minute, inclusive: true), null)])]);
    }
}
