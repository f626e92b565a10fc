using System.Globalization;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.MemoryService.Events;

/// <summary>Tells what happened to an owner's memories. Thread-safe.</summary>
internal sealed class EventReader(Database database, DurableQueue queue)
{
    /// <summary>Changes that one page of operations tells of; one operation may delete any number of memories, and must not hide those after it.</summary>
    private const int MaxChanges = 10_000;

    /// <summary>Changes that are told of each operation, however many there are on the page.</summary>
    private const int ToldOfEach = 100;

    /// <summary>Where a reader of the feed is: everything up to this transaction and row was told.</summary>
    internal readonly record struct FeedPosition(ulong Xid, long Sequence)
    {
        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Xid}.{Sequence}");

        internal static FeedPosition? Parse(string cursor)
        {
            var dot = cursor.IndexOf('.', StringComparison.Ordinal);
            return dot > 0 && ulong.TryParse(cursor.AsSpan(0, dot), NumberStyles.None, CultureInfo.InvariantCulture, out var xid)
                && long.TryParse(cursor.AsSpan(dot + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var sequence)
                ? new FeedPosition(xid, sequence)
                : null;
        }
    }

    /// <summary>Oldest first, after the position. Stops before the oldest transaction that still runs, so that no later commit is passed over.</summary>
    internal async Task<(IReadOnlyList<HistoryRow> Rows, FeedPosition Last)> FeedAsync(MemoryCaller caller, FeedPosition after, int limit, CancellationToken ct)
    {
        var subject = caller.FixedSubject ?? new MemoryScope();
        var rows = await database.ForOwner(caller.OwnerId).QueryAsync(
            $"""
            select {HistoryRow.Columns}, h.xid::text from memory_history h
            where h.owner_id = $1 and (h.xid, h.seq) > ($2::text::xid8, $3) and h.xid < pg_snapshot_xmin(pg_current_snapshot())
                and ($4::text is null or h.user_id = $4) and ($5::text is null or h.agent_id = $5)
                and ($6::text is null or h.session_id = $6) and ($7::text is null or h.app_id = $7)
            order by h.xid, h.seq limit $8
            """,
            [
                caller.OwnerId, after.Xid.ToString(CultureInfo.InvariantCulture), after.Sequence, subject.UserId, subject.AgentId, subject.SessionId, subject.AppId, limit,
            ],
            reader => (Row: HistoryRow.Read(reader), Xid: ulong.Parse(reader.GetString(HistoryRow.ColumnCount), CultureInfo.InvariantCulture)),
            ct);
        var last = rows.Count == 0 ? after : new FeedPosition(rows[^1].Xid, rows[^1].Row.Sequence);
        return ([.. rows.Select(row => row.Row)], last);
    }

    /// <summary>Operations, newest first, each with its first changes.</summary>
    /// <param name="before">Where the page before ended.</param>
    /// <returns>One page, and where it ended; null when nothing follows.</returns>
    internal async Task<(IReadOnlyList<IReadOnlyList<HistoryRow>> Operations, long? Last)> OperationsAsync(
        MemoryCaller caller, long? before, int offset, int limit, CancellationToken ct)
    {
        var subject = caller.FixedSubject ?? new MemoryScope();
        var rows = await database.ForOwner(caller.OwnerId).QueryAsync(
            $"""
            with seen as (
                select operation_id, max(seq) as last from memory_history
                where owner_id = $1 and ($2::text is null or user_id = $2) and ($3::text is null or agent_id = $3)
                    and ($4::text is null or session_id = $4) and ($5::text is null or app_id = $5)
                group by operation_id having $8::bigint is null or max(seq) < $8 order by last desc offset $6 limit $7
            )
            select {HistoryRow.Columns}, seen.last from seen cross join lateral (
                select * from memory_history where owner_id = $1 and operation_id = seen.operation_id
                    and ($2::text is null or user_id = $2) and ($3::text is null or agent_id = $3)
                    and ($4::text is null or session_id = $4) and ($5::text is null or app_id = $5)
                order by seq limit $9) h
            order by seen.last desc, h.seq
            """,
            [caller.OwnerId, subject.UserId, subject.AgentId, subject.SessionId, subject.AppId, offset, limit + 1, before, Math.Max(ToldOfEach, MaxChanges / limit)],
            reader => (Row: HistoryRow.Read(reader), Last: reader.GetInt64(HistoryRow.ColumnCount)), ct);
        var operations = rows.GroupBy(row => row.Row.OperationId).ToList();
        return ([.. operations.Take(limit).Select(operation => operation.Select(row => row.Row).ToList())], operations.Count > limit ? operations[limit - 1].First().Last : null);
    }

    /// <returns>How many operations there were.</returns>
    internal Task<long> CountOperationsAsync(MemoryCaller caller, CancellationToken ct)
    {
        var subject = caller.FixedSubject ?? new MemoryScope();
        return database.ForOwner(caller.OwnerId).QuerySingleAsync(
            """
            select count(distinct operation_id) from memory_history
            where owner_id = $1 and ($2::text is null or user_id = $2) and ($3::text is null or agent_id = $3)
                and ($4::text is null or session_id = $4) and ($5::text is null or app_id = $5)
            """,
            [caller.OwnerId, subject.UserId, subject.AgentId, subject.SessionId, subject.AppId], reader => reader.GetInt64(0), ct);
    }

    /// <returns>Null when the caller has no such operation.</returns>
    internal async Task<MemoryOperation?> OperationAsync(MemoryCaller caller, Guid id, CancellationToken ct)
    {
        if (await queue.GetAsync(caller.OwnerId, id, ct) is { Kind: AddMemoriesTask.TaskKind } task)
            return IsVisible(caller, task) ? ToOperation(task) : null;
        var rows = await OfOperationAsync(caller.OwnerId, id, ct);
        return rows.Count == 0 || !rows.All(row => caller.Sees(row.Scope)) ? null : new MemoryOperation
        {
            Id = id,
            Status = "succeeded",
            Result = ToResponse(rows),
            CreatedAt = rows[0].At,
            CompletedAt = rows[^1].At,
        };
    }

    internal Task<List<HistoryRow>> OfOperationAsync(Guid ownerId, Guid operationId, CancellationToken ct) =>
        database.ForOwner(ownerId).QueryAsync(
            $"select {HistoryRow.Columns} from memory_history h where h.owner_id = $1 and h.operation_id = $2 order by h.seq", [ownerId, operationId], HistoryRow.Read, ct);

    /// <summary>The answer that an add gave, from what it left in the history.</summary>
    internal static AddMemoryResponse ToResponse(IReadOnlyList<HistoryRow> rows) => new(
        [.. rows.Where(row => row.Change is MemoryChange.Added or MemoryChange.Pending).Select(row => new MemoryAddition(row.MemoryId, row.NewText ?? string.Empty, row.Change))],
        "replayed");

    private static bool IsVisible(MemoryCaller caller, TaskRecord task) =>
        caller.FixedSubject is null || task.Input.Deserialize<AddMemoriesTask.Input>(ContractJson.Options)?.FixedSubject == caller.FixedSubject;

    private static MemoryOperation ToOperation(TaskRecord task) => new()
    {
        Id = task.Id,
        Status = task.Status switch { "queued" => "pending", "dead" or "cancelled" => "failed", var status => status },
        Result = task.Result?.Deserialize<AddMemoryResponse>(ContractJson.Options),
        Error = task.Error,
        CreatedAt = task.CreatedAt,
        CompletedAt = task.EndedAt,
    };
}
