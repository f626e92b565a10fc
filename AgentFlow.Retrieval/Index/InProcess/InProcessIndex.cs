using System.Collections.Concurrent;
using System.ComponentModel.DataAnnotations;
using System.Runtime.CompilerServices;

namespace AgentFlow.Retrieval.Index.InProcess;

/// <summary>Sections <c>Documents:Index</c> (API) and <c>Memory:Index</c>: the exact index in the process's memory.</summary>
public sealed class InProcessIndexOptions
{
    /// <summary>
    /// What all loaded owners together may take, in bytes; above it the least recently used ones are dropped and loaded again when asked for.
    /// An owner that is larger by itself stays while it is the only one. 100,000 points of 512 dimensions take about 300 MB.
    /// </summary>
    [Range(16L << 20, 1L << 40)]
    public long MaxBytes { get; set; } = 512L << 20;
}

/// <summary>
/// Exact index in the process's memory. An owner is loaded from the truth by the first search, by one load however many ask; writes go to
/// owners that are loaded or loading, and for others there is nothing to do, since a later load sees what was committed. Thread-safe;
/// searches take no lock.
/// </summary>
internal sealed class InProcessIndex(IIndexTruth truth, int dimensions, InProcessIndexOptions options) : IVectorIndex
{
    private const int LoadBatch = 256;

    private readonly ConcurrentDictionary<Guid, Loaded> _owners = new();
    private readonly RecentTombstones _tombstones = new();
    private long _clock;

    /// <summary>Estimated bytes of all loaded owners.</summary>
    public long Bytes => _owners.Values.Sum(static owner => owner.Table.Bytes);

    public Task WriteAsync(Guid ownerId, IReadOnlyList<IndexWrite> writes, CancellationToken ct)
    {
        if (writes.Count == 0)
            throw new ArgumentException("There is nothing to write.", nameof(writes));
        ct.ThrowIfCancellationRequested();
        foreach (var write in writes)
        {
            if (write is IndexWrite.Remove)
                _tombstones.Add(ownerId, write.Id, write.Version);
        }

        if (_owners.TryGetValue(ownerId, out var owner))
        {
            owner.Table.Apply(writes.Any(write => IsDeleted(ownerId, write)) ? [.. writes.Where(write => !IsDeleted(ownerId, write))] : writes);
            Evict(ownerId);
        }

        return Task.CompletedTask;
    }

    public async Task<IReadOnlyList<IndexHit>> SearchAsync(Guid ownerId, IndexQuery query, CancellationToken ct)
    {
        var owner = _owners.GetOrAdd(ownerId, static (_, dimensions) => new Loaded(new OwnerTable(dimensions)), dimensions);
        Volatile.Write(ref owner.LastUsed, Interlocked.Increment(ref _clock));
        if (!owner.IsReady)
            await LoadOnce(ownerId, owner).WaitAsync(ct);
        return SnapshotSearch.Run(owner.Table.Current, query);
    }

    public async IAsyncEnumerable<IReadOnlyList<IndexEntry>> ScanAsync([EnumeratorCancellation] CancellationToken ct)
    {
        var entries = new List<IndexEntry>();
        foreach (var (ownerId, owner) in _owners)
        {
            if (!owner.IsReady)
                await LoadOnce(ownerId, owner).WaitAsync(ct);
            entries.AddRange(owner.Table.Entries(ownerId));
        }

        entries.Sort(static (x, y) => x.Id.CompareTo(y.Id));
        yield return entries;
    }

    public Task PurgeAsync(IReadOnlyList<IndexEntry> tombstones, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        foreach (var group in tombstones.GroupBy(entry => entry.OwnerId))
        {
            if (_owners.TryGetValue(group.Key, out var owner))
                owner.Table.Purge(group);
        }

        foreach (var entry in tombstones)
            _tombstones.Forget(entry.OwnerId, entry.Id);

        return Task.CompletedTask;
    }

    public Task ProbeAsync(CancellationToken ct) => Task.CompletedTask;

    public bool Holds(Guid ownerId) => _owners.ContainsKey(ownerId);

    /// <summary>Forgets an owner, so that the next search loads it anew: for changes that another process made.</summary>
    public void Invalidate(Guid ownerId) => _owners.TryRemove(ownerId, out _);

    /// <summary>Forgets every owner: what is held may be behind what other processes wrote while this index was not asked.</summary>
    public void Clear() => _owners.Clear();

    private bool IsDeleted(Guid ownerId, IndexWrite write) => write is IndexWrite.Put && _tombstones.Covers(ownerId, write.Id, write.Version);

    private Task LoadOnce(Guid ownerId, Loaded owner)
    {
        lock (owner)
            return owner.Loading ??= LoadAsync(ownerId, owner);
    }

    /// <summary>
    /// Not bound to the request that started it, since others wait for the same load. Changes that arrive meanwhile go to the same table,
    /// and its version guard decides which of the two is newer. Points are read while those before them are analyzed.
    /// </summary>
    private async Task LoadAsync(Guid ownerId, Loaded owner)
    {
        await Task.Yield();
        var applying = Task.CompletedTask;
        try
        {
            var batch = new List<IndexPoint>(LoadBatch);
            await foreach (var point in truth.LoadAsync(ownerId, CancellationToken.None))
            {
                batch.Add(point);
                if (batch.Count < LoadBatch)
                    continue;
                await applying;
                var full = batch;
                applying = Task.Run(() => Take(owner.Table, full));
                batch = new List<IndexPoint>(LoadBatch);
            }

            await applying;
            if (batch.Count > 0)
                Take(owner.Table, batch);
            owner.IsReady = true;
        }
        finally
        {
            await applying.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

            // After a failure the next search starts over.
            if (!owner.IsReady)
                _owners.TryRemove(new KeyValuePair<Guid, Loaded>(ownerId, owner));
        }

        Evict(ownerId);
    }

    private void Take(OwnerTable table, List<IndexPoint> points)
    {
        table.Apply(points.ConvertAll(static IndexWrite (point) => new IndexWrite.Put(point)));
        truth.Reclaim(points);
    }

    private void Evict(Guid keep)
    {
        var excess = Bytes - options.MaxBytes;
        if (excess <= 0)
            return;
        foreach (var (ownerId, owner) in _owners.OrderBy(static each => Volatile.Read(ref each.Value.LastUsed)))
        {
            if (ownerId == keep || !owner.IsReady)
                continue;
            _owners.TryRemove(new KeyValuePair<Guid, Loaded>(ownerId, owner));
            excess -= owner.Table.Bytes;
            if (excess <= 0)
                return;
        }
    }

    private sealed class Loaded(OwnerTable table)
    {
        public long LastUsed;
        private volatile bool _isReady;

        public OwnerTable Table => table;

        public Task? Loading { get; set; }

        public bool IsReady
        {
            get => _isReady;
            set => _isReady = value;
        }
    }
}
