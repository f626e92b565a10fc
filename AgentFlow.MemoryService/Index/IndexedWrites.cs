using System.Threading.Channels;
using AgentFlow.MemoryService.Graph.Neo4j;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.Qdrant;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.MemoryService.Index;

/// <summary>
/// Brings committed changes to the index at once: in process before the caller is answered, Qdrant a moment later (a search finds the
/// not-yet-indexed tail in Postgres). What fails here stays in the outbox, whose worker tries again.
/// </summary>
internal sealed partial class IndexedWrites(
    VectorIndex index, MemoryTruth truth, EmbeddingSpace space, Database database, OutboxWorker outbox, TimeProvider time,
    ILogger<IndexedWrites> logger, Neo4jMirror? graph = null) : BackgroundService
{
    private const int MaxBatch = 1_000;

    /// <summary>
    /// Where the index has the changes already, only their outbox rows are left to be taken away, many at once. The rows are not due before 2 s.
    /// </summary>
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(100);

    /// <summary>Beyond this many the outbox worker takes over; the rows are there.</summary>
    private readonly Channel<(Guid OwnerId, IndexWrite Write)> _written =
        Channel.CreateBounded<(Guid, IndexWrite)>(new BoundedChannelOptions(20_000) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    internal bool IsInProcess => index.Name == "in-process";

    /// <summary>After memories were added.</summary>
    internal Task AddedAsync(Guid ownerId, IReadOnlyList<StoredMemory> stored, CancellationToken ct)
    {
        var added = stored.Where(memory => memory.Sequence != 0 && memory.Memory.Status == MemoryStatus.Active).ToList();
        return added.Count == 0 ? Task.CompletedTask
            : added.Any(memory => memory.Supersedes.Count > 0)
                ? ChangedAsync(ownerId, [.. added.Select(memory => memory.Id.Value), .. added.SelectMany(memory => memory.Supersedes).Select(id => id.Value)], ct)
                : WriteAsync(ownerId, [.. added.Select(memory => new IndexWrite.Put(MemoryTruth.ToPoint(memory.ToRow(), memory.Memory.Vector)))], ct);
    }

    /// <summary>After anything else: reads what is true now and brings it over.</summary>
    internal async Task ChangedAsync(Guid ownerId, IReadOnlyList<Guid> ids, CancellationToken ct)
    {
        if (ids.Count == 0)
            return;
        var points = await truth.ReadAsync(ids, ct);
        await WriteAsync(ownerId, [.. points.Select(ToWrite)], ct);
    }

    /// <summary>After deletions, whose versions are known.</summary>
    internal Task DeletedAsync(Guid ownerId, IEnumerable<(Guid Id, int Version)> deleted, CancellationToken ct) =>
        WriteAsync(ownerId, [.. deleted.Select(one => new IndexWrite.Remove(one.Id, one.Version))], ct);

    internal int Dimensions => space.Dimensions;

    /// <summary>Takes points out of the index before anything else is answered.</summary>
    /// <returns>False when the index did not take it; the outbox has the ids.</returns>
    internal async Task<bool> RemoveNowAsync(Guid ownerId, IReadOnlyList<(Guid Id, long Version)> points, CancellationToken ct)
    {
        IReadOnlyList<IndexWrite> writes = [.. points.Select(point => new IndexWrite.Remove(point.Id, point.Version))];
        try
        {
            await index.For(ownerId).WriteAsync(writes, ct);
            truth.Applied(writes);
        }
        catch (Exception error) when (IsIndexDown(error, ct))
        {
            LogLeft(error, writes.Count);
            return false;
        }

        foreach (var write in writes)
            _written.Writer.TryWrite((ownerId, write));
        return true;
    }

    /// <summary>Takes erased memories, and entities that only they named, out of the graph's mirror at once.</summary>
    /// <returns>Null without a mirror; false when it did not take it, and the outbox tries again.</returns>
    internal async Task<bool?> ForgetInGraphAsync(Guid ownerId, IReadOnlyList<Guid> ids, CancellationToken ct)
    {
        if (graph is null || ids.Count == 0)
            return null;
        try
        {
            await graph.MirrorAsync(ids, [ownerId], ct);
            return true;
        }
        catch (Exception error) when (IsIndexDown(error, ct))
        {
            LogLeft(error, ids.Count);
            return false;
        }
    }

    /// <summary>
    /// Brings over what other processes have committed. Where Qdrant does not take it, the in-process index behind it does, and the search that
    /// follows says that it was degraded.
    /// </summary>
    internal async Task CatchUpAsync(Guid ownerId, IReadOnlyList<Guid> ids, CancellationToken ct)
    {
        var points = await truth.ReadAsync(ids, ct);
        IReadOnlyList<IndexWrite> writes = [.. points.Where(point => point.OwnerId == ownerId).Select(ToWrite)];
        if (writes.Count == 0)
            return;
        try
        {
            await index.For(ownerId).WriteAsync(writes, ct);
            truth.Applied(writes);
        }
        catch (Exception error) when (IsIndexDown(error, ct))
        {
            LogLeft(error, writes.Count);
        }
    }

    private static bool IsIndexDown(Exception error, CancellationToken ct) =>
        error is QdrantException or HttpRequestException or IOException or TimeoutException || (error is TaskCanceledException && !ct.IsCancellationRequested);

    internal static IndexWrite ToWrite(TruthPoint point) =>
        point.Point is { } live ? new IndexWrite.Put(live) : new IndexWrite.Remove(point.Id, point.Version);

    private async Task WriteAsync(Guid ownerId, IReadOnlyList<IndexWrite> writes, CancellationToken ct)
    {
        if (writes.Count == 0)
            return;
        if (IsInProcess)
        {
            await index.For(ownerId).WriteAsync(writes, ct);
            truth.Applied(writes);
        }

        foreach (var write in writes)
            _written.Writer.TryWrite((ownerId, write));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (await _written.Reader.WaitToReadAsync(stoppingToken))
            {
                if (IsInProcess)
                    await Task.Delay(Gathering, time, stoppingToken);
                var batch = new List<(Guid OwnerId, IndexWrite Write)>();
                while (batch.Count < MaxBatch && _written.Reader.TryRead(out var written))
                    batch.Add(written);
                await SettleAsync(batch, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping: what is left is in the outbox.
        }
    }

    /// <summary>Writes to the index where that is still to be done, then takes the outbox rows of just these versions away.</summary>
    private async Task SettleAsync(List<(Guid OwnerId, IndexWrite Write)> batch, CancellationToken ct)
    {
        try
        {
            if (!IsInProcess)
            {
                foreach (var owner in batch.GroupBy(written => written.OwnerId))
                    await index.For(owner.Key).WriteAsync([.. owner.Select(written => written.Write)], ct);
                truth.Applied(batch.Select(written => written.Write));
            }

            // The graph follows by the same rows: then the worker takes them away.
            if (graph is not null)
            {
                outbox.Wake();
                return;
            }

            await database.AsWorker().CreateBatch().Relaxed()
                .Add(
                    "delete from index_outbox o using unnest($1, $2) as done (id, version) where o.entity_id = done.id and o.version = done.version",
                    [batch.Select(written => written.Write.Id).ToArray(), batch.Select(written => written.Write.Version).ToArray()])
                .ExecuteAsync(ct);
        }
        catch (Exception error) when (error is NpgsqlException || IsIndexDown(error, ct))
        {
            LogLeft(error, batch.Count);
            outbox.Wake();
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Count} changes did not reach the index at once; the outbox brings them")]
    private partial void LogLeft(Exception error, int count);
}

/// <summary>Applies outbox rows from what is true now; the index keeps the newer version of whatever arrives twice.</summary>
internal sealed class MemoryOutboxHandler(VectorIndex index, MemoryTruth truth, Neo4jMirror? graph = null) : IIndexOutboxHandler
{
    public async Task ApplyAsync(IReadOnlyList<OutboxEntry> entries, CancellationToken ct)
    {
        var points = await truth.ReadAsync([.. entries.Select(entry => entry.EntityId)], ct);
        var found = points.ToDictionary(point => point.Id);
        foreach (var owner in entries.GroupBy(entry => entry.OwnerId))
        {
            // A row that is gone altogether was purged: what the index still holds of it goes at the version that was asked for.
            await index.For(owner.Key).WriteAsync(
                [.. owner.Select(entry => found.TryGetValue(entry.EntityId, out var point)
                    ? IndexedWrites.ToWrite(point)
                    : new IndexWrite.Remove(entry.EntityId, entry.Version))],
                ct);
        }

        if (graph is not null)
            await graph.MirrorAsync([.. entries.Select(entry => entry.EntityId)], [.. entries.Select(entry => entry.OwnerId).Distinct()], ct);
    }
}
