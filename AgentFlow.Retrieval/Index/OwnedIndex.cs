namespace AgentFlow.Retrieval.Index;

/// <summary>An index as one owner sees it; the only way for a service to read or write points. Thread-safe.</summary>
public sealed class OwnedIndex
{
    private readonly VectorIndex _index;
    private readonly Guid _ownerId;

    internal OwnedIndex(VectorIndex index, Guid ownerId)
    {
        ArgumentOutOfRangeException.ThrowIfEqual(ownerId, Guid.Empty);
        _index = index;
        _ownerId = ownerId;
    }

    /// <summary>Returns when the writes are searchable; throws when the index did not take them (the outbox then tries again).</summary>
    public Task WriteAsync(IReadOnlyList<IndexWrite> writes, CancellationToken ct) => _index.WriteAsync(_ownerId, writes, ct);

    /// <summary>False while a write would have no effect: the index is in process and loads this owner's committed rows when it is first searched.</summary>
    public bool TakesWrites => _index.TakesWrites(_ownerId);

    /// <summary>Whether this process holds the owner's points in memory, as the index itself or behind Qdrant.</summary>
    public bool IsInMemory => _index.HoldsInMemory(_ownerId);

    /// <summary>Brings what another process wrote to what this one holds in memory; nothing is written where it holds nothing.</summary>
    public Task FollowAsync(IReadOnlyList<IndexWrite> writes, CancellationToken ct) => _index.FollowAsync(_ownerId, writes, ct);

    /// <summary>Candidates among this owner's points; the caller joins them with the truth, which drops stale and deleted ones.</summary>
    public Task<IndexAnswer> SearchAsync(IndexQuery query, CancellationToken ct) => _index.SearchAsync(_ownerId, query, ct);
}
