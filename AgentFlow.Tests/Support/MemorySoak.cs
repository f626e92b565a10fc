using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Memories;
using AgentFlow.MemoryService.Search;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.Qdrant;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.Tests.Support;

/// <summary>What keeps truth and index together and is left out of a control run, which must then go wrong.</summary>
internal enum MemoryGuard
{
    None,
    OutboxInsert,
    ReadJoin,
    Tombstone,
}

/// <param name="WrongHits">Deleted, stale or foreign memories that a search returned.</param>
/// <param name="Differences">Points that differ between Postgres and Qdrant after everything was applied.</param>
internal sealed record MemorySoakResult(int Histories, int Changes, int Searches, int Crashes, int Outages, int WrongHits, int Differences);

/// <summary>
/// Random histories of memories over the real Postgres, outbox, search and Qdrant: processes die between commit and index, workers die before
/// and after they applied, writes arrive late, Qdrant is killed and comes back. Each history has an owner of its own.
/// </summary>
internal sealed class MemorySoak
{
    private readonly BareMemory _host;
    private readonly QdrantServer _qdrant;
    private readonly MemoryGuard _missing;
    private readonly Random _random;
    private readonly Dictionary<Guid, (Guid Owner, string Text)> _alive = [];
    private readonly List<(Guid Owner, IReadOnlyList<IndexWrite> Writes)> _late = [];

    /// <summary>Others may have left points on the same server.</summary>
    private readonly HashSet<Guid> _owners = [];

    private int _changes, _searches, _crashes, _outages, _wrong;

    private MemorySoak(BareMemory host, QdrantServer qdrant, MemoryGuard missing, int seed)
    {
        (_host, _qdrant, _missing, _random) = (host, qdrant, missing, new Random(seed));
    }

    /// <param name="connectionString">An administrator's, of an empty database.</param>
    /// <param name="outageEvery">Qdrant is killed for the length of one history after this many; 0: never.</param>
    internal static async Task<MemorySoakResult> RunAsync(
        string connectionString, QdrantServer qdrant, int histories, int seed, MemoryGuard missing, int outageEvery, CancellationToken ct)
    {
        await using var host = await BareMemory.StartAsync(
            connectionString, ct, ("ConnectionStrings:qdrant_http", qdrant.ConnectionString), ("Outbox:Enabled", "false"), ("Memory:Upkeep:SweepInterval", "1.00:00:00"), ("Postgres:CommandTimeout", "00:05:00"));
        if (missing == MemoryGuard.OutboxInsert)
            await DropOutboxInsertsAsync(connectionString, ct);
        var soak = new MemorySoak(host, qdrant, missing, seed);
        await soak.UntilBuiltAsync(ct);
        for (var number = 1; number <= histories; number++)
            await soak.HistoryAsync(isOutage: outageEvery > 0 && number % outageEvery == 0, ct);
        await soak.QuiesceAsync(ct);
        return new MemorySoakResult(histories, soak._changes, soak._searches, soak._crashes, soak._outages, soak._wrong, await soak.DifferencesAsync(ct));
    }

    private async Task HistoryAsync(bool isOutage, CancellationToken ct)
    {
        var owner = Guid.CreateVersion7();
        _owners.Add(owner);
        if (isOutage)
        {
            _outages++;
            await _qdrant.KillAsync();
        }

        for (var step = 0; step < 16; step++)
        {
            await ChangeAsync(owner, ct);
            if (_random.Next(3) == 0)
                await WorkAsync(ct);
            if (_random.Next(3) == 0)
                await SearchAsync(owner, ct);
        }

        if (isOutage)
            await _qdrant.StartProcessAsync();
        await SearchAsync(owner, ct);
    }

    private async Task ChangeAsync(Guid owner, CancellationToken ct)
    {
        _changes++;
        var mine = _alive.Where(memory => memory.Value.Owner == owner).Select(memory => memory.Key).ToList();
        var (editing, writes, now) = (_host.Get<MemoryEditing>(), _host.Get<IndexedWrites>(), DateTimeOffset.UtcNow);
        var dies = _random.Next(2) == 0;
        if (mine.Count == 0 || _random.Next(5) < 2)
        {
            var memory = New($"note {_random.Next(1_000_000_000)} about {Word()} and {Word()}", now);
            var stored = await _host.Get<MemoryStore>().AddAsync(owner, Guid.CreateVersion7(), [memory], HashingEmbeddingGenerator.Space.Model, ct);
            _alive[stored[0].Id.Value] = (owner, memory.Text);

            // A process that dies here leaves the outbox row and nothing else.
            if (!dies)
                await writes.AddedAsync(owner, stored, ct);
            return;
        }

        var id = mine[_random.Next(mine.Count)];
        if (_random.Next(3) == 0)
            _late.Add((owner, [.. (await _host.Get<MemoryTruth>().ReadAsync([id], ct)).Select(IndexedWrites.ToWrite)]));
        if (_random.Next(5) < 2)
        {
            var deleted = await editing.DeleteAsync(owner, Guid.CreateVersion7(), [id], now, ct);
            _alive.Remove(id);
            if (!dies)
                await writes.DeletedAsync(owner, deleted.Select(one => (one.Id.Value, one.Version)), ct);
            return;
        }

        var text = $"edited {_random.Next(1_000_000_000)} about {Word()} and {Word()}";
        var before = await _host.Get<MemoryReader>().GetAsync(owner, new MemoryId(id), ct) ?? throw new InvalidOperationException("A memory that lives is not there.");
        await editing.ApplyAsync(
            owner,
            Guid.CreateVersion7(),
            new MemoryEdit(before, text, ContentHash.Of(text, MemoryKind.Fact, null, null, null), null, "{}", [], null, null, MemoryStatus.Active, HashingEmbeddingGenerator.Embed(text)),
            HashingEmbeddingGenerator.Space.Model,
            now,
            ct);
        _alive[id] = (owner, text);
        if (!dies)
            await writes.ChangedAsync(owner, [id], ct);
    }

    /// <summary>A worker takes what is due; it may die before or after it told the index, and somebody's late write may arrive first.</summary>
    private async Task WorkAsync(CancellationToken ct)
    {
        if (_late.Count > 0 && _random.Next(2) == 0)
            await LateAsync(ct);
        var fate = _random.Next(3);
        using var death = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var worker = Worker(fate == 0 ? Death.Before : fate == 1 ? Death.After : Death.Never, death);
        try
        {
            await MakeDueAsync(ct);
            await worker.DrainOnceAsync(death.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            _crashes++;
        }
    }

    private async Task LateAsync(CancellationToken ct)
    {
        foreach (var (owner, writes) in _late)
        {
            try
            {
                await _host.Get<VectorIndex>().For(owner).WriteAsync(writes, ct);
            }
            catch (Exception error) when (error is QdrantException or HttpRequestException)
            {
                // Qdrant is down: then this one never arrives.
            }
        }

        _late.Clear();
    }

    private async Task SearchAsync(Guid owner, CancellationToken ct)
    {
        _searches++;
        var text = Word();
        if (_missing == MemoryGuard.ReadJoin)
        {
            var hits = await _host.Get<VectorIndex>().For(owner).SearchAsync(new IndexQuery { Text = text, Vector = HashingEmbeddingGenerator.Embed(text), Limit = 100 }, ct);
            var current = (await _host.Get<MemoryTruth>().ReadAsync([.. hits.Hits.Select(hit => hit.Id)], ct)).Where(point => point.Point is not null).ToDictionary(point => point.Id, point => point.Version);
            _wrong += hits.Hits.Count(hit => !current.TryGetValue(hit.Id, out var version) || version != hit.Version);
            return;
        }

        var query = new MemoryQuery(text, new FilterExpression.AnyOf(new FilterField(SubjectFilter.UserId, []), [new FilterValue("soak")])) { TopK = 100 };
        var found = await _host.Get<MemorySearch>().FindAsync(owner, query, ct);
        _wrong += found.Ranked.Count(memory => !_alive.TryGetValue(memory.Row.Id.Value, out var alive) || alive.Owner != owner || alive.Text != memory.Row.Text);

        // What is acknowledged is found at once, wherever the index is.
        var mine = _alive.Count(memory => memory.Value.Owner == owner);
        _wrong += Math.Abs(Math.Min(mine, 100) - found.Ranked.Count);
    }

    private async Task QuiesceAsync(CancellationToken ct)
    {
        await DrainAsync(ct);
        await LateAsync(ct);
        await DrainAsync(ct);
    }

    private async Task DrainAsync(CancellationToken ct)
    {
        using var never = new CancellationTokenSource();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        while (await _host.Get<Database>().AsWorker().QuerySingleAsync("select count(*) from index_outbox", [], reader => reader.GetInt64(0), limit.Token) > 0)
        {
            await MakeDueAsync(limit.Token);
            if (await Worker(Death.Never, never).DrainOnceAsync(limit.Token) == 0)
                await Task.Delay(20, limit.Token);
        }
    }

    private async Task<int> DifferencesAsync(CancellationToken ct)
    {
        var truth = new Dictionary<Guid, IndexEntry>();
        Guid? after = null;
        while (await _host.Get<MemoryTruth>().PageAsync(after, 1_000, TimeSpan.Zero, ct) is { Count: > 0 } page)
        {
            foreach (var row in page.Where(row => !row.Deleted))
                truth[row.Id] = row;
            after = page[^1].Id;
        }

        var differences = 0;
        await foreach (var page in _host.Get<VectorIndex>().Primary.ScanAsync(ct))
        {
            foreach (var entry in page.Where(entry => !entry.Deleted && _owners.Contains(entry.OwnerId)))
                differences += truth.Remove(entry.Id, out var row) && row.Version == entry.Version && row.OwnerId == entry.OwnerId ? 0 : 1;
        }

        return differences + truth.Count;
    }

    private enum Death
    {
        Never,
        Before,
        After,
    }

    private OutboxWorker Worker(Death death, CancellationTokenSource life) => new(
        _host.Get<Database>(),
        new MortalHandler(new MemoryOutboxHandler(_host.Get<VectorIndex>(), _host.Get<MemoryTruth>()), _host.Get<VectorIndex>(), death, life, _missing == MemoryGuard.Tombstone),
        Options.Create(new OutboxOptions()),
        TimeProvider.System,
        NullLogger<OutboxWorker>.Instance);

    private Task<int> MakeDueAsync(CancellationToken ct) =>
        _host.Get<Database>().AsWorker().ExecuteAsync("update index_outbox set not_before = now() - interval '1 s'", [], ct);

    private async Task UntilBuiltAsync(CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        while ((await _host.Get<VectorIndex>().For(Guid.CreateVersion7()).SearchAsync(new IndexQuery { Text = "x" }, ct)).Degraded is not null)
            await Task.Delay(50, limit.Token);
    }

    private static async Task DropOutboxInsertsAsync(string connectionString, CancellationToken ct)
    {
        await using var admin = new NpgsqlConnection(connectionString);
        await admin.OpenAsync(ct);
        await using var command = new NpgsqlCommand(
            """
            create function agentflow_memory.forget() returns trigger language plpgsql as $f$ begin return null; end $f$;
            create trigger forget before insert on agentflow_memory.index_outbox for each row execute function agentflow_memory.forget();
            """,
            admin);
        await command.ExecuteNonQueryAsync(ct);
    }

    private static NewMemory New(string text, DateTimeOffset now) => new()
    {
        Scope = new MemoryScope { UserId = "soak" },
        Kind = MemoryKind.Fact,
        Text = text,
        ContentHash = ContentHash.Of(text, MemoryKind.Fact, null, null, null),
        Trust = MemoryTrust.User,
        CreatedAt = now,
        Vector = HashingEmbeddingGenerator.Embed(text),
    };

    private string Word() => Words[_random.Next(Words.Length)];

    private static readonly string[] Words = ["tulip", "kettle", "harbor", "violin", "ledger", "comet"];

    /// <summary>Ends its process, as far as the worker can tell: what it took stays taken until the lease ends.</summary>
    private sealed class MortalHandler(MemoryOutboxHandler handler, VectorIndex index, Death death, CancellationTokenSource life, bool dropsTombstones) : IIndexOutboxHandler
    {
        public async Task ApplyAsync(IReadOnlyList<OutboxEntry> entries, CancellationToken ct)
        {
            if (death == Death.Before)
                await DieAsync();
            await handler.ApplyAsync(entries, ct);
            if (dropsTombstones)
                await index.Primary.PurgeAsync([.. entries.Where(entry => entry.IsDelete).Select(entry => new IndexEntry(entry.OwnerId, entry.EntityId, entry.Version, Deleted: true))], ct);
            if (death == Death.After)
                await DieAsync();
        }

        private async Task DieAsync()
        {
            await life.CancelAsync();
            life.Token.ThrowIfCancellationRequested();
        }
    }
}
