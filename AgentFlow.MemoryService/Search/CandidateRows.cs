using System.Globalization;
using AgentFlow.Contracts;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.MemoryService.Search;

/// <summary>
/// Reads the truth for the index's candidates, and the changes that the index has not seen, in one round trip. In process the tail is what
/// was committed since the owner was loaded or last caught up; with Qdrant it is what is still in the outbox, asked for beforehand. Thread-safe.
/// </summary>
internal sealed class CandidateRows(Database database, MemoryTruth truth)
{
    private const string JoinSql = $"select {MemoryRow.Columns} from memories m where m.id = any($1) and m.owner_id = $2";

    /// <summary>One row without an id when nothing changed; the horizon belongs to the same snapshot as the changes.</summary>
    private const string ChangedSql =
        """
        select pg_snapshot_xmin(pg_current_snapshot())::text, m.id, m.version
        from (select) as one left join memories m on m.owner_id = $1 and m.changed_xid >= $2::text::xid8
        """;

    /// <summary>One look for each id: a plan made while the table was small reads all that an owner has.</summary>
    private const string QueuedSql =
        """
        select o.entity_id, m.version from (select entity_id from index_outbox where owner_id = $1 limit 2000) o
        cross join lateral (select version from memories where id = o.entity_id and owner_id = $1 limit 1) m
        """;

    /// <param name="Rows">Of the candidates that exist.</param>
    /// <param name="Tail">Ids of what the index must be told before it is asked again; empty when it knows everything.</param>
    /// <param name="Horizon">Once the tail is applied, everything below this transaction is in the in-process index.</param>
    internal sealed record Joined(IReadOnlyList<MemoryRow> Rows, IReadOnlyList<Guid> Tail, ulong? Horizon);

    /// <summary>
    /// What is committed and not in Qdrant yet. Looked at before Qdrant is asked: a change leaves the outbox only after Qdrant has it, so it is
    /// seen in one of the two.
    /// </summary>
    internal async Task<IReadOnlyList<Guid>> QueuedAsync(Guid ownerId, CancellationToken ct)
    {
        var queued = await database.ForOwner(ownerId).QueryAsync(QueuedSql, [ownerId], reader => (Id: reader.GetGuid(0), Version: reader.GetInt32(1)), ct);
        return [.. queued.Where(one => !truth.HasApplied(one.Id, one.Version)).Select(one => one.Id)];
    }

    /// <param name="exact">The candidates come from the in-process index: also read what it has not seen.</param>
    internal async Task<Joined> JoinAsync(Guid ownerId, IEnumerable<Guid> candidates, bool exact, CancellationToken ct)
    {
        var batch = database.ForOwner(ownerId).CreateBatch().Add(JoinSql, [candidates.ToArray(), ownerId]);
        if (exact && truth.ReadUpTo(ownerId) is { } since)
            batch.Add(ChangedSql, [ownerId, since.ToString(CultureInfo.InvariantCulture)]);
        return await batch.ReadAsync(ReadAsync, ct);
    }

    internal Task<MemoryRow?> FindAsync(Guid ownerId, MemoryId id, CancellationToken ct) =>
        database.ForOwner(ownerId).QuerySingleAsync(
            $"select {MemoryRow.Columns} from memories m where m.id = $1 and m.owner_id = $2", [id.Value, ownerId], MemoryRow.Read, ct);

    private async Task<Joined> ReadAsync(NpgsqlDataReader reader, CancellationToken ct)
    {
        var rows = new List<MemoryRow>();
        while (await reader.ReadAsync(ct))
            rows.Add(MemoryRow.Read(reader));
        var tail = new List<Guid>();
        ulong? horizon = null;
        if (await reader.NextResultAsync(ct))
        {
            while (await reader.ReadAsync(ct))
            {
                horizon = ulong.Parse(reader.GetString(0), CultureInfo.InvariantCulture);
                if (reader.NullableGuid(1) is { } changed && !truth.HasApplied(changed, reader.GetInt32(2)))
                    tail.Add(changed);
            }
        }

        return new Joined(rows, tail, horizon);
    }
}
