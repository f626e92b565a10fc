using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using AgentFlow.Retrieval.Index;

namespace AgentFlow.Tests.Retrieval.Index;

/// <summary>Rows in memory in the place of Postgres.</summary>
internal sealed class ListTruth : IIndexTruth
{
    private readonly ConcurrentDictionary<Guid, TruthPoint> _points = new();
    private int _loads;

    public int Loads => _loads;

    /// <summary>Awaited while loading, after the rows were read.</summary>
    public Func<Task> WhileLoading { get; set; } = () => Task.CompletedTask;

    public IEnumerable<TruthPoint> All => _points.Values;

    public void Put(Guid ownerId, IndexPoint point) => _points[point.Id] = new TruthPoint(ownerId, point.Id, point.Version, point);

    public void Delete(Guid ownerId, Guid id, long version) => _points[id] = new TruthPoint(ownerId, id, version, null);

    public void Purge(Guid id) => _points.TryRemove(id, out _);

    public async IAsyncEnumerable<IndexPoint> LoadAsync(Guid ownerId, [EnumeratorCancellation] CancellationToken ct)
    {
        Interlocked.Increment(ref _loads);
        var points = _points.Values.Where(point => point.OwnerId == ownerId && point.Point is not null).Select(point => point.Point!).ToList();
        await WhileLoading();
        foreach (var point in points)
            yield return point with { Vector = point.Vector.ToArray() };
    }

    /// <summary>Whoever still looked at these vectors would find nothing by them.</summary>
    public void Reclaim(IReadOnlyList<IndexPoint> points)
    {
        foreach (var point in points)
        {
            if (MemoryMarshal.TryGetArray(point.Vector, out var array))
                array.AsSpan().Fill(float.NaN);
        }
    }

    public Task<IReadOnlyList<TruthPoint>> ReadAsync(IReadOnlyList<Guid> ids, CancellationToken ct) =>
        Task.FromResult<IReadOnlyList<TruthPoint>>([.. ids.Select(id => _points.GetValueOrDefault(id)).OfType<TruthPoint>()]);

    public Task<IReadOnlyList<IndexEntry>> PageAsync(Guid? after, int limit, TimeSpan settledFor, CancellationToken ct) =>
        Task.FromResult<IReadOnlyList<IndexEntry>>([.. _points.Values
            .Where(point => after is null || string.CompareOrdinal(point.Id.ToString("N"), after.Value.ToString("N")) > 0)
            .OrderBy(point => point.Id.ToString("N"), StringComparer.Ordinal).Take(limit)
            .Select(point => new IndexEntry(point.OwnerId, point.Id, point.Version, point.Point is null))]);
}
