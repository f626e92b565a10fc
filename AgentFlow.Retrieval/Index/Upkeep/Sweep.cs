namespace AgentFlow.Retrieval.Index.Upkeep;

/// <param name="Compared">Settled rows and index entries that were looked at.</param>
/// <param name="Missing">Rows that the index lacked or held deleted.</param>
/// <param name="Stale">Entries of another version or owner than the row.</param>
/// <param name="Orphaned">Living entries without a living row.</param>
/// <param name="Purged">Tombstones dropped because nothing can be on its way any more.</param>
public sealed record SweepReport(int Compared, int Missing, int Stale, int Orphaned, int Purged)
{
    public int Repaired => Missing + Stale + Orphaned;
}

/// <summary>
/// Compares the truth with an index in both directions, by id, version and owner, and repairs the index. Rows that changed lately are left
/// out, since their change is on its way; a repair always writes the row as it is at that moment, so it can't undo a newer change. One
/// sweep at a time.
/// </summary>
internal sealed class Sweep(IIndexTruth truth, SweepTarget target, TimeSpan settledFor)
{
    /// <summary>Ids read from the truth at once.</summary>
    private const int Page = 1_000;

    private const int RepairBatch = 256;

    private HashSet<IndexEntry> _tombstonesBefore = [];

    public async Task<SweepReport> RunAsync(CancellationToken ct)
    {
        var run = new Run();
        await using var rows = new EntryReader(TruthPages(ct).GetAsyncEnumerator(ct));
        await using var entries = new EntryReader(target.Scan(ct).GetAsyncEnumerator(ct));
        await rows.MoveAsync();
        await entries.MoveAsync();
        while (rows.Current is not null || entries.Current is not null)
        {
            var order = rows.Current is null ? 1 : entries.Current is null ? -1 : rows.Current.Id.CompareTo(entries.Current.Id);
            var (row, entry) = (order <= 0 ? rows.Current : null, order >= 0 ? entries.Current : null);
            run.Compare(row, entry, target.Holds);
            if (row is not null)
                await rows.MoveAsync();
            if (entry is not null)
                await entries.MoveAsync();
            if (run.Suspects.Count >= RepairBatch)
                await RepairAsync(run, ct);
        }

        await RepairAsync(run, ct);
        await PurgeAsync(run, ct);
        return run.Report;
    }

    private async IAsyncEnumerable<IReadOnlyList<IndexEntry>> TruthPages([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        Guid? after = null;
        while (await truth.PageAsync(after, Page, settledFor, ct) is { Count: > 0 } page)
        {
            yield return page;
            after = page[^1].Id;
        }
    }

    /// <summary>Decides by the rows as they are now; what has become right meanwhile is left alone.</summary>
    private async Task RepairAsync(Run run, CancellationToken ct)
    {
        if (run.Suspects.Count == 0)
            return;
        var current = (await truth.ReadAsync([.. run.Suspects.Select(suspect => suspect.Id)], ct)).ToDictionary(point => point.Id);
        var writes = new List<(Guid Owner, IndexWrite Write)>();
        foreach (var suspect in run.Suspects)
        {
            current.TryGetValue(suspect.Id, out var row);
            if (suspect.Entry is { } ahead && (row is null ? !ahead.Deleted : ahead.Version > row.Version))
                await ForgetAsync(ahead, ct);
            if (row is { Point: { } point })
                writes.Add((row.OwnerId, new IndexWrite.Put(point)));
            else if (row is not null && suspect.Entry is { Deleted: false })
                writes.Add((row.OwnerId, new IndexWrite.Remove(row.Id, row.Version)));
            run.Count(suspect, row);
        }

        foreach (var owner in writes.GroupBy(each => each.Owner))
            await target.Write(owner.Key, [.. owner.Select(each => each.Write)], ct);
        run.Suspects.Clear();
    }

    /// <summary>
    /// An entry that is newer than its row, or has none, comes from before the truth was restored or the row purged. No version can be above
    /// it, so it goes for good.
    /// </summary>
    private async Task ForgetAsync(IndexEntry entry, CancellationToken ct)
    {
        var version = entry.Version;
        if (!entry.Deleted)
            await target.Write(entry.OwnerId, [new IndexWrite.Remove(entry.Id, ++version)], ct);
        await target.Purge([entry with { Version = version, Deleted = true }], ct);
    }

    /// <summary>A tombstone without a row goes when the sweep before saw it as well: by then no older write can be on its way.</summary>
    private async Task PurgeAsync(Run run, CancellationToken ct)
    {
        var old = run.Tombstones.Where(_tombstonesBefore.Contains).ToList();
        foreach (var batch in old.Chunk(RepairBatch))
            await target.Purge(batch, ct);
        run.Report = run.Report with { Purged = old.Count };
        _tombstonesBefore = run.Tombstones;
    }

    private sealed record Suspect(Guid Id, IndexEntry? Entry);

    private sealed class Run
    {
        public List<Suspect> Suspects { get; } = [];

        public HashSet<IndexEntry> Tombstones { get; } = [];

        public SweepReport Report { get; set; } = new(0, 0, 0, 0, 0);

        /// <param name="row">Null when no settled row has the id; it may have one that is not settled.</param>
        public void Compare(IndexEntry? row, IndexEntry? entry, Func<Guid, bool> holds)
        {
            Report = Report with { Compared = Report.Compared + 1 };
            if (row is null)
            {
                if (entry!.Deleted)
                    Tombstones.Add(entry);
                else
                    Suspects.Add(new Suspect(entry.Id, entry));
                return;
            }

            var isRight = entry is null
                ? row.Deleted || !holds(row.OwnerId)
                : (row.Deleted && entry.Deleted) || (row.Deleted == entry.Deleted && row.Version == entry.Version && row.OwnerId == entry.OwnerId);
            if (!isRight)
                Suspects.Add(new Suspect(row.Id, entry));
        }

        public void Count(Suspect suspect, TruthPoint? row)
        {
            var isLiving = suspect.Entry is { Deleted: false };
            if (row?.Point is null)
                Report = Report with { Orphaned = Report.Orphaned + (isLiving ? 1 : 0) };
            else if (!isLiving)
                Report = Report with { Missing = Report.Missing + 1 };
            else if (suspect.Entry!.Version != row.Version || suspect.Entry.OwnerId != row.OwnerId)
                Report = Report with { Stale = Report.Stale + 1 };
        }
    }

    /// <summary>Pages as single entries.</summary>
    private sealed class EntryReader(IAsyncEnumerator<IReadOnlyList<IndexEntry>> pages) : IAsyncDisposable
    {
        private IReadOnlyList<IndexEntry> _page = [];
        private int _next;

        public IndexEntry? Current { get; private set; }

        public async Task MoveAsync()
        {
            while (_next == _page.Count)
            {
                if (!await pages.MoveNextAsync())
                {
                    Current = null;
                    return;
                }

                (_page, _next) = (pages.Current, 0);
            }

            Current = _page[_next++];
        }

        public ValueTask DisposeAsync() => pages.DisposeAsync();
    }
}

/// <summary>What a sweep compares the truth with: an index, or one collection of it that is being built.</summary>
internal sealed record SweepTarget(
    Func<CancellationToken, IAsyncEnumerable<IReadOnlyList<IndexEntry>>> Scan,
    Func<Guid, IReadOnlyList<IndexWrite>, CancellationToken, Task> Write,
    Func<IReadOnlyList<IndexEntry>, CancellationToken, Task> Purge,
    Func<Guid, bool> Holds)
{
    public static SweepTarget Of(IVectorIndex index) => new(index.ScanAsync, index.WriteAsync, index.PurgeAsync, index.Holds);
}
