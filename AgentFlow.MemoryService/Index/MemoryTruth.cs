using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.MemoryService.Index;

/// <summary>
/// The memories as the index sees them. Also knows up to which transaction each loaded owner was read, so that a search in this process
/// notices what other processes have written since. Thread-safe.
/// </summary>
internal sealed class MemoryTruth(Database database, EmbeddingSpace space) : IIndexTruth
{
    private const int MaxRemembered = 100_000;

    /// <summary>Points that are handed over together: one by one, reader and taker would wake each other for each.</summary>
    private const int LoadBatch = 64;

    /// <summary>Batches read before they are taken: some 2 MB.</summary>
    private const int LoadAhead = 12;

    /// <summary>Vectors' memory that is kept for the next load, 3 MB; what one load has in flight at a time.</summary>
    private const int MaxSpare = 1_536;

    /// <summary>New arrays for 5,000 vectors would make the collector stop a load once or twice, for longer than reading takes.</summary>
    private readonly ConcurrentQueue<float[]> _spare = new();

    private readonly ConcurrentDictionary<Guid, ulong> _readUpTo = new();

    /// <summary>Versions that this process has written to the index; forgetting one costs a write that changes nothing.</summary>
    private readonly ConcurrentDictionary<Guid, long> _applied = new();

    private const string From = "from memories m left join memory_embeddings e on e.memory_id = m.id and e.model = $1";

    /// <summary>A living memory without a vector was read since this was last set to false: it was stored by a process with another embedding model.</summary>
    internal bool LacksVectors
    {
        get => Volatile.Read(ref _lacksVectors);
        set => Volatile.Write(ref _lacksVectors, value);
    }

    private bool _lacksVectors;

    /// <summary>Columns of a point after those of the row.</summary>
    internal const string PointColumns = $"{MemoryRow.Columns}, m.owner_id, e.vector";

    private const int VectorOrdinal = MemoryRow.ColumnCount + 1;

    /// <summary>Both tables by their owner, so that neither is looked up row by row (<see cref="DbBatch.InBulk"/>).</summary>
    internal const string LoadSql = $"select {PointColumns} {From} and e.owner_id = $2 where m.owner_id = $2 and m.status = 0";

    /// <summary>Transactions below this one are in the index that was loaded; null when the owner was not loaded by this process.</summary>
    internal ulong? ReadUpTo(Guid ownerId) => _readUpTo.TryGetValue(ownerId, out var xid) ? xid : null;

    /// <summary>What was changed since has been applied. Never moves back.</summary>
    internal void Advance(Guid ownerId, ulong xid) => _readUpTo.AddOrUpdate(ownerId, xid, (_, known) => Math.Max(known, xid));

    /// <summary>Whether this process has brought that version, or a newer one, to the index.</summary>
    internal bool HasApplied(Guid id, long version) => _applied.TryGetValue(id, out var known) && known >= version;

    internal void Applied(IEnumerable<IndexWrite> writes)
    {
        if (_applied.Count > MaxRemembered)
            _applied.Clear();
        foreach (var write in writes)
            _applied.AddOrUpdate(write.Id, write.Version, (_, known) => Math.Max(known, write.Version));
    }

    /// <summary>Points come as they are read: whoever takes them works beside the database.</summary>
    public async IAsyncEnumerable<IndexPoint> LoadAsync(Guid ownerId, [EnumeratorCancellation] CancellationToken ct)
    {
        var batches = Channel.CreateBounded<List<IndexPoint>>(new BoundedChannelOptions(LoadAhead) { SingleReader = true, SingleWriter = true });
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var reading = ReadAllAsync(ownerId, batches.Writer, leaving.Token);
        try
        {
            await foreach (var batch in batches.Reader.ReadAllAsync(ct))
            {
                foreach (var point in batch)
                    yield return point;
            }

            await reading;
        }
        finally
        {
            await leaving.CancelAsync();
            await reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public void Reclaim(IReadOnlyList<IndexPoint> points)
    {
        foreach (var point in points)
        {
            if (_spare.Count < MaxSpare && MemoryMarshal.TryGetArray(point.Vector, out var room) && room.Array!.Length == space.Dimensions)
                _spare.Enqueue(room.Array);
        }
    }

    private float[] TakeSpare(int length) => length == space.Dimensions && _spare.TryDequeue(out var room) ? room : new float[length];

    private async Task ReadAllAsync(Guid ownerId, ChannelWriter<List<IndexPoint>> batches, CancellationToken ct)
    {
        try
        {
            var batch = database.ForOwner(ownerId).CreateBatch().InBulk()
                .Add("select pg_snapshot_xmin(pg_current_snapshot())::text", [])
                .Add(LoadSql, [space.Model, ownerId]);
            var horizon = await batch.ReadAsync(
                async (reader, token) =>
                {
                    await reader.ReadAsync(token);
                    var xid = ulong.Parse(reader.GetString(0), System.Globalization.CultureInfo.InvariantCulture);
                    await reader.NextResultAsync(token);
                    var points = new List<IndexPoint>(LoadBatch);
                    while (await reader.ReadAsync(token))
                    {
                        var point = ToPoint(MemoryRow.Read(reader), reader.NullableFloats(VectorOrdinal, TakeSpare));
                        if (point.Vector.IsEmpty)
                            LacksVectors = true;
                        points.Add(point);
                        if (points.Count < LoadBatch)
                            continue;
                        await batches.WriteAsync(points, token);
                        points = new List<IndexPoint>(LoadBatch);
                    }

                    await batches.WriteAsync(points, token);
                    return xid;
                },
                ct);

            // Loaded again after an eviction, the newer snapshot counts.
            _readUpTo[ownerId] = horizon;
        }
        finally
        {
            batches.Complete();
        }
    }

    public async Task<IReadOnlyList<TruthPoint>> ReadAsync(IReadOnlyList<Guid> ids, CancellationToken ct)
    {
        var points = await database.AsWorker().QueryAsync(
            $"select {PointColumns} {From} where m.id = any($2)", [space.Model, ids.ToArray()], ReadTruth, ct);
        if (points.Any(point => point.Point is { Vector.IsEmpty: true }))
            LacksVectors = true;
        return points;
    }

    public async Task<IReadOnlyList<IndexEntry>> PageAsync(Guid? after, int limit, TimeSpan settledFor, CancellationToken ct) =>
        await database.AsWorker().QueryAsync(
            "select owner_id, id, version, status <> 0 from memories where id > $1 and updated_at < now() - $2 order by id limit $3",
            [after ?? Guid.Empty, settledFor, limit],
            reader => new IndexEntry(reader.GetGuid(0), reader.GetGuid(1), reader.GetInt32(2), reader.GetBoolean(3)),
            ct);

    internal static TruthPoint ReadTruth(NpgsqlDataReader reader)
    {
        var row = MemoryRow.Read(reader);
        var owner = reader.GetGuid(MemoryRow.ColumnCount);
        return new TruthPoint(owner, row.Id.Value, row.Version, row.Status == MemoryStatus.Active ? ToPoint(row, ReadVector(reader)) : null);
    }

    internal static IndexPoint ToPoint(MemoryRow row, ReadOnlyMemory<float> vector) => new()
    {
        Id = row.Id.Value,
        Version = row.Version,
        Vector = vector,
        Text = row.Text,
        Fields = new MemoryFields(row),
        Turn = row.Kind == MemoryKind.Message && row.Scope.SessionId is { } session
            ? new Turn(session, row.Sequence, row.Actor ?? row.Role, row.ObservedAt ?? row.CreatedAt)
            : null,
    };

    private static ReadOnlyMemory<float> ReadVector(NpgsqlDataReader reader) => reader.NullableFloats(VectorOrdinal);
}
