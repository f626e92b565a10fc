using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.MemoryService.Exchange;

/// <summary>Reads memories with their versions and history, page by page. Thread-safe.</summary>
internal sealed class ExportReader(Database database, TimeProvider time)
{
    private const int PageSize = 500;

    /// <summary>Every memory that is not deleted, oldest first: what is superseded, expired, pending or rejected, too.</summary>
    internal async IAsyncEnumerable<ExportedMemory> ReadAsync(
        Guid ownerId, FilterExpression? filter, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        long after = 0;
        while (true)
        {
            var page = await PageAsync(ownerId, filter, after, ct);
            if (page.Count == 0)
                yield break;
            after = page[^1].Sequence;
            var ids = page.Select(row => row.Id.Value).ToArray();
            var versions = (await VersionsAsync(ownerId, ids, ct)).ToLookup(one => one.Id, one => one.Version);
            var history = (await HistoryAsync(ownerId, ids, ct)).ToLookup(row => row.MemoryId.Value);
            var relations = (await RelationsAsync(ownerId, ids, ct)).ToLookup(one => one.Id, one => one.Relation);
            foreach (var row in page)
            {
                yield return new ExportedMemory
                {
                    Memory = row.ToItem(),
                    Status = row.Status.ToString().ToLowerInvariant(),
                    Versions = [.. versions[row.Id.Value]],
                    History = [.. history[row.Id.Value].Select(ToChange)],
                    Relations = [.. relations[row.Id.Value]],
                };
            }
        }
    }

    private Task<List<MemoryRow>> PageAsync(Guid ownerId, FilterExpression? filter, long after, CancellationToken ct)
    {
        var sql = new MemorySql(ownerId, time.GetUtcNow());
        sql.Filter(filter);
        sql.And("m.status <> 3");
        sql.And($"m.seq > {sql.Parameter(after)}");
        return database.ForOwner(ownerId).QueryAsync(
            $"select {MemoryRow.Columns} from memories m where {sql.Condition} order by m.seq limit {sql.Parameter(PageSize)}", sql.Parameters, MemoryRow.Read, ct);
    }

    private Task<List<(Guid Id, ExportedVersion Version)>> VersionsAsync(Guid ownerId, Guid[] ids, CancellationToken ct) =>
        database.ForOwner(ownerId).QueryAsync(
            """
            select memory_id, version, text, metadata::text, categories, expires_at, valid_from, valid_to, recorded_at, replaced_at from memory_versions
            where owner_id = $1 and memory_id = any($2) order by memory_id, version
            """,
            [ownerId, ids],
            reader => (reader.GetGuid(0), new ExportedVersion
            {
                Version = reader.GetInt32(1),
                Text = reader.GetString(2),
                Metadata = JsonElement.Parse(reader.GetString(3)),
                Categories = reader.GetFieldValue<string[]>(4),
                ExpiresAt = reader.NullableTime(5),
                ValidFrom = reader.Time(6),
                ValidTo = reader.NullableTime(7),
                RecordedAt = reader.Time(8),
                ReplacedAt = reader.Time(9),
            }),
            ct);

    private Task<List<(Guid Id, ExportedRelation Relation)>> RelationsAsync(Guid ownerId, Guid[] ids, CancellationToken ct) =>
        database.ForOwner(ownerId).QueryAsync(
            """
            select r.memory_id, s.name, r.relation, t.name from memory_relations r
            join memory_entities s on s.id = r.source_id join memory_entities t on t.id = r.target_id
            where r.owner_id = $1 and r.memory_id = any($2) order by r.memory_id, s.key, r.relation, t.key
            """,
            [ownerId, ids], reader => (reader.GetGuid(0), new ExportedRelation(reader.GetString(1), reader.GetString(2), reader.GetString(3))), ct);

    private Task<List<HistoryRow>> HistoryAsync(Guid ownerId, Guid[] ids, CancellationToken ct) =>
        database.ForOwner(ownerId).QueryAsync(
            $"select {HistoryRow.Columns} from memory_history h where h.owner_id = $1 and h.memory_id = any($2) order by h.seq", [ownerId, ids], HistoryRow.Read, ct);

    private static ExportedChange ToChange(HistoryRow row) => new()
    {
        OperationId = row.OperationId, Version = row.Version, Event = row.Change, OldText = row.OldText, NewText = row.NewText, At = row.At,
    };
}
