namespace AgentFlow.Retrieval.Index;

/// <summary>The rows in Postgres that an index is derived from: one implementation for memories, one for document chunks.</summary>
public interface IIndexTruth
{
    /// <summary>Every live point of an owner, for loading an index into memory; each id once, in any order.</summary>
    IAsyncEnumerable<IndexPoint> LoadAsync(Guid ownerId, CancellationToken ct);

    /// <summary>
    /// Takes back points of <see cref="LoadAsync"/> that the index has copied and looks at no more: their vectors' memory may serve points that are
    /// still to come. Called while the load goes on.
    /// </summary>
    void Reclaim(IReadOnlyList<IndexPoint> points)
    {
    }

    /// <summary>
    /// The current state of the given records, whoever owns them; a record that is not there any more is left out. Reads what is
    /// committed at the time of the call, never what an outbox row remembered.
    /// </summary>
    Task<IReadOnlyList<TruthPoint>> ReadAsync(IReadOnlyList<Guid> ids, CancellationToken ct);

    /// <summary>
    /// Records of all owners by ascending id (as Postgres orders uuid), deleted but not purged ones included; at most
    /// <paramref name="limit"/> after <paramref name="after"/>.
    /// </summary>
    /// <param name="settledFor">Records changed within this span are left out, so that a sweep never repairs what is on its way.</param>
    Task<IReadOnlyList<IndexEntry>> PageAsync(Guid? after, int limit, TimeSpan settledFor, CancellationToken ct);
}

/// <param name="Point">Null when the record is deleted (its <paramref name="Version"/> is then the deletion's).</param>
public sealed record TruthPoint(Guid OwnerId, Guid Id, long Version, IndexPoint? Point);
