using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Retrieval.Filters;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.MemoryService.Memories;

/// <summary>Reads memories of one owner. Thread-safe.</summary>
internal sealed class MemoryReader(Database database, TimeProvider time)
{
    /// <summary>Deleted memories are found, too; the caller decides what that means.</summary>
    internal Task<MemoryRow?> GetAsync(Guid ownerId, MemoryId id, CancellationToken ct) =>
        database.ForOwner(ownerId).QuerySingleAsync(
            $"select {MemoryRow.Columns} from memories m where m.id = $1 and m.owner_id = $2", [id.Value, ownerId], MemoryRow.Read, ct);

    internal Task<List<MemoryRow>> GetManyAsync(Guid ownerId, IReadOnlyList<Guid> ids, CancellationToken ct) =>
        database.ForOwner(ownerId).QueryAsync(
            $"select {MemoryRow.Columns} from memories m where m.id = any($1) and m.owner_id = $2", [ids.ToArray(), ownerId], MemoryRow.Read, ct);

    /// <summary>Newest first.</summary>
    internal Task<List<MemoryRow>> ListAsync(Guid ownerId, MemoryListing listing, CancellationToken ct)
    {
        var sql = new MemorySql(ownerId, time.GetUtcNow());
        sql.Where(listing);
        sql.And($"m.seq < {sql.Parameter(listing.Before ?? long.MaxValue)}");
        return database.ForOwner(ownerId).QueryAsync(
            $"select {MemoryRow.Columns} from {sql.Source} where {sql.Condition} order by m.seq desc offset {sql.Parameter(listing.Offset)} limit {sql.Parameter(listing.Limit)}",
            sql.Parameters, MemoryRow.Read, ct);
    }

    /// <returns>How many memories a listing without limit has.</returns>
    internal Task<long> CountAsync(Guid ownerId, MemoryListing listing, CancellationToken ct)
    {
        var sql = new MemorySql(ownerId, time.GetUtcNow());
        sql.Where(listing);
        return database.ForOwner(ownerId).QuerySingleAsync(
            $"select count(*) from {sql.Source} where {sql.Condition}", sql.Parameters, reader => reader.GetInt64(0), ct);
    }

    /// <summary>What the filter matches and is not deleted: closed, expired, pending and rejected memories too; oldest first.</summary>
    /// <param name="after">The sequence number that the last page ended with.</param>
    internal Task<List<(Guid Id, long Sequence)>> PresentAsync(Guid ownerId, FilterExpression? filter, long after, int limit, CancellationToken ct)
    {
        var sql = new MemorySql(ownerId, time.GetUtcNow());
        sql.And("m.status <> 3");
        sql.Filter(filter);
        sql.And($"m.seq > {sql.Parameter(after)}");
        return database.ForOwner(ownerId).CreateBatch().ByIndex()
            .Add($"select m.id, m.seq from {sql.Source} where {sql.Condition} order by m.seq limit {sql.Parameter(limit)}", sql.Parameters)
            .ReadAsync(
                async (reader, token) =>
                {
                    var present = new List<(Guid Id, long Sequence)>();
                    while (await reader.ReadAsync(token))
                        present.Add((reader.GetGuid(0), reader.GetInt64(1)));
                    return present;
                },
                ct);
    }

    /// <summary>What happened to one memory, oldest first.</summary>
    internal Task<List<HistoryRow>> HistoryAsync(Guid ownerId, MemoryId id, CancellationToken ct) =>
        database.ForOwner(ownerId).QueryAsync(
            $"select {HistoryRow.Columns} from memory_history h where h.owner_id = $1 and h.memory_id = $2 order by h.seq",
            [ownerId, id.Value], HistoryRow.Read, ct);
}

/// <summary>Which memories a listing shows.</summary>
internal sealed record MemoryListing
{
    public FilterExpression? Filter { get; init; }

    /// <summary>Also facts that another one has closed.</summary>
    public bool Superseded { get; init; }

    /// <summary>Also what has expired.</summary>
    public bool Expired { get; init; }

    /// <summary>Only what waits for review, instead of what is stored.</summary>
    public bool Pending { get; init; }

    /// <summary>What was true then, closed since or not.</summary>
    public DateTimeOffset? AsOf { get; init; }

    /// <summary>As it was recorded then, and believed: later edits, and facts learned since, do not count.</summary>
    public DateTimeOffset? KnownAt { get; init; }

    /// <summary>The sequence number that the last page ended with.</summary>
    public long? Before { get; init; }

    public int Offset { get; init; }

    public int Limit { get; init; } = 50;
}
