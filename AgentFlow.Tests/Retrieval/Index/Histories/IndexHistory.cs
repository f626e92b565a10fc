using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.Qdrant;
using AgentFlow.Retrieval.Index.Upkeep;

namespace AgentFlow.Tests.Retrieval.Index.Histories;

/// <param name="WrongHits">Deleted, stale or foreign hits that a search showed.</param>
/// <param name="Differences">Points in which truth and index differed after everything was worked off.</param>
internal sealed record HistoryResult(int Searches, int WrongHits, int Differences)
{
    public static HistoryResult operator +(HistoryResult x, HistoryResult y) =>
        new(x.Searches + y.Searches, x.WrongHits + y.WrongHits, x.Differences + y.Differences);
}

/// <summary>
/// One random history: changes, two workers whose steps interleave and die, direct writes that come late or never, searches in between, then
/// quiet. In every third history the index is damaged behind everybody's back as well, and a sweep has to find it.
/// </summary>
internal sealed class IndexHistory(IVectorIndex index, Random random, MissingGuard missing)
{
    private readonly HistoryWorld _world = new(random, missing);
    private readonly List<(Guid Owner, IndexWrite Write)> _late = [];
    private readonly Worker[] _workers = [new(), new()];
    private HistoryResult _result = new(0, 0, 0);

    /// <summary>The network, when there is one.</summary>
    public FaultyTransport? Transport { get; init; }

    /// <summary>Kills and restarts the server; null for an index without one.</summary>
    public Func<Task>? Crash { get; init; }

    /// <summary>A point can change hands; not with an index that keeps owners apart, where a service does not do it either.</summary>
    public bool CanMove { get; init; } = true;

    public ListTruth Truth => _world.Truth;

    public async Task<HistoryResult> RunAsync(CancellationToken ct)
    {
        var (length, isDamaged) = (random.Next(50, 201), random.Next(3) == 0 && missing == MissingGuard.None);
        for (var step = 0; step < length; step++)
        {
            Transport?.FaultRate = 0.1;
            await StepAsync(ct);
        }

        Transport?.FaultRate = 0;
        if (isDamaged)
            await DamageAsync(ct);
        await QuiesceAsync(isDamaged, ct);
        _result = _result with { Differences = await DifferencesAsync(ct) };
        await CleanUpAsync(ct);
        return _result;
    }

    private async Task StepAsync(CancellationToken ct)
    {
        switch (random.Next(20))
        {
            case < 4:
                Remember(_world.Create());
                break;
            case < 9:
                if (_world.Change(CanMove) is { } id)
                    Remember(id);
                break;
            case < 11:
                await LateWriteAsync(ct);
                break;
            case < 16:
                await WorkAsync(_workers[random.Next(_workers.Length)], ct);
                break;
            case 16 when Crash is not null && random.Next(40) == 0:
                await Crash();
                break;
            default:
                await SearchAsync(ct);
                break;
        }
    }

    /// <summary>After the commit the process writes to the index at once; that write may come any time later, or never.</summary>
    private void Remember(Guid id)
    {
        var row = _world.Row(id);
        if (random.Next(3) > 0)
            _late.Add((row.OwnerId, ToWrite(row)));
    }

    private async Task LateWriteAsync(CancellationToken ct)
    {
        if (_late.Count == 0)
            return;
        var (owner, write) = _late[random.Next(_late.Count)];
        if (random.Next(5) > 0)
            await TryAsync(() => WriteAsync(owner, [write], ct));
        if (random.Next(4) > 0)
            _late.Remove((owner, write));
    }

    /// <summary>One of a worker's three steps: take entries and read their rows, write to the index, report the entries as done.</summary>
    private async Task WorkAsync(Worker worker, CancellationToken ct)
    {
        if (random.Next(12) == 0)
        {
            worker.Reset();
            return;
        }

        if (worker.Entries.Count == 0)
        {
            worker.Entries = _world.Claim(random.Next(1, 6));
            worker.Rows = [.. worker.Entries.Select(entry => _world.FindRow(entry.Id)).OfType<TruthPoint>()];
        }
        else if (!worker.HasWritten)
        {
            worker.HasWritten = await TryAsync(async () =>
            {
                foreach (var owner in worker.Rows.GroupBy(row => row.OwnerId))
                    await WriteAsync(owner.Key, [.. owner.Select(ToWrite)], ct);
            });
        }
        else
        {
            _world.Done(worker.Entries.Where(entry => worker.Rows.Any(row => row.Id == entry.Id && row.Version >= entry.Version)));
            worker.Reset();
        }
    }

    private async Task WriteAsync(Guid owner, List<IndexWrite> writes, CancellationToken ct)
    {
        await index.WriteAsync(owner, writes, ct);
        if (!missing.HasFlag(MissingGuard.Tombstone))
            return;
        var removed = writes.OfType<IndexWrite.Remove>().Select(write => new IndexEntry(owner, write.Id, write.Version, Deleted: true)).ToList();
        if (removed.Count > 0)
            await index.PurgeAsync(removed, ct);
    }

    private async Task SearchAsync(CancellationToken ct)
    {
        var owner = _world.Owners[random.Next(_world.Owners.Count)];
        await TryAsync(async () =>
        {
            var hits = await index.SearchAsync(owner, Points.Query(random.Next(2) == 0 ? "common" : _world.RandomText(), limit: 50), ct);
            var shown = _world.Join(owner, hits).ToList();
            _result = _result with { Searches = _result.Searches + 1, WrongHits = _result.WrongHits + shown.Count(hit => _world.IsWrong(owner, hit)) };
        });
    }

    /// <summary>Loses points, and brings back old ones, as a restored snapshot would.</summary>
    private async Task DamageAsync(CancellationToken ct)
    {
        foreach (var row in _world.Truth.All.Where(_ => random.Next(3) == 0).ToList())
        {
            await index.WriteAsync(row.OwnerId, [new IndexWrite.Remove(row.Id, row.Version + 50)], ct);
            await index.PurgeAsync([new IndexEntry(row.OwnerId, row.Id, row.Version + 50, Deleted: true)], ct);
            if (random.Next(2) == 0)
                await index.WriteAsync(row.OwnerId, [new IndexWrite.Put(Points.Of("word0 old common", Math.Max(1, row.Version - 1), row.Id))], ct);
        }
    }

    /// <summary>No more faults: late writes arrive or are lost, and the workers empty the outbox.</summary>
    private async Task QuiesceAsync(bool isDamaged, CancellationToken ct)
    {
        while (!_world.IsOutboxEmpty || _workers.Any(worker => worker.Entries.Count > 0))
        {
            foreach (var worker in _workers)
                await WorkAsync(worker, ct);
        }

        foreach (var (owner, write) in _late.OrderBy(_ => random.Next()))
            await WriteAsync(owner, [write], ct);
        if (isDamaged)
            await new Sweep(_world.Truth, SweepTarget.Of(index), TimeSpan.Zero).RunAsync(ct);
    }

    private async Task<int> DifferencesAsync(CancellationToken ct)
    {
        var expected = _world.Truth.All.Where(row => row.Point is not null && index.Holds(row.OwnerId)).Select(row => new IndexEntry(row.OwnerId, row.Id, row.Version)).ToHashSet();
        var actual = new HashSet<IndexEntry>();
        await foreach (var page in index.ScanAsync(ct))
            actual.UnionWith(page.Where(entry => !entry.Deleted));
        expected.SymmetricExceptWith(actual);
        return expected.Count;
    }

    /// <summary>The next history starts on an empty index.</summary>
    private async Task CleanUpAsync(CancellationToken ct)
    {
        foreach (var row in _world.Truth.All.ToList())
            _world.Truth.Purge(row.Id);
        var sweep = new Sweep(_world.Truth, SweepTarget.Of(index), TimeSpan.Zero);
        for (var round = 0; round < 3; round++)
            await sweep.RunAsync(ct);
    }

    private static IndexWrite ToWrite(TruthPoint row) => row.Point is { } point ? new IndexWrite.Put(point) : new IndexWrite.Remove(row.Id, row.Version);

    private static async Task<bool> TryAsync(Func<Task> action)
    {
        try
        {
            await action();
            return true;
        }
        catch (QdrantException)
        {
            return false;
        }
    }

    private sealed class Worker
    {
        public List<(Guid Id, long Version)> Entries { get; set; } = [];

        public List<TruthPoint> Rows { get; set; } = [];

        public bool HasWritten { get; set; }

        public void Reset() => (Entries, Rows, HasWritten) = ([], [], false);
    }
}
