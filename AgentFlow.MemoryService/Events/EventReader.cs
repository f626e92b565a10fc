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
