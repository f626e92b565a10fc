namespace AgentFlow.Retrieval.Index;

/// <summary>
/// Holds points of many owners; implementations are in-process and Qdrant, under one suite of contract tests. Services reach it only
/// through <see cref="OwnedIndex"/>.
/// </summary>
internal interface IVectorIndex
{
    /// <summary>
    /// Applies every write or throws; applied again, it changes nothing. An empty list is refused. A point that changes hands is put for
    /// the new owner with a higher version, and removed for the old owner with the same one; the order of the two does not matter.
    /// </summary>
    Task WriteAsync(Guid ownerId, IReadOnlyList<IndexWrite> writes, CancellationToken ct);

    /// <summary>The union of the best by similarity and the best by words, each with both raw scores where they are known.</summary>
    Task<IReadOnlyList<IndexHit>> SearchAsync(Guid ownerId, IndexQuery query, CancellationToken ct);

    /// <summary>Everything held, tombstones included, in pages by ascending id; an index that keeps only loaded owners gives those.</summary>
    IAsyncEnumerable<IReadOnlyList<IndexEntry>> ScanAsync(CancellationToken ct);

    /// <summary>Drops tombstones for good; other points and newer versions stay.</summary>
    Task PurgeAsync(IReadOnlyList<IndexEntry> tombstones, CancellationToken ct);

    /// <summary>Whether the index is meant to hold an owner's points now; false for one that was not loaded into memory.</summary>
    bool Holds(Guid ownerId);

    /// <summary>Cheap readiness probe; throws when the index can't answer.</summary>
    Task ProbeAsync(CancellationToken ct);
}
