using AgentFlow.MemoryService.Index;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.MemoryService.Memories;

/// <summary>
/// Deletes what has expired, when <c>Memory:PurgeExpired</c> asks for it (otherwise it is only hidden), and drops the empty rows of what was deleted
/// <c>Memory:KeepDeletedFor</c> ago, once the index needs them no more.
/// </summary>
internal sealed partial class ExpirySweep(
    Database database, MemoryEditing editing, IndexedWrites index, IOptions<MemoryOptions> options, TimeProvider time, ILogger<ExpirySweep> logger) : BackgroundService
{
    private const int Batch = 1_000;

    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);

    /// <returns>How many were deleted.</returns>
    internal async Task<int> RunOnceAsync(CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var deleted = 0;
        while (true)
        {
            var expired = await database.AsWorker().QueryAsync(
                "select owner_id, id from memories where status = 0 and expires_at <= $1 order by expires_at limit $2",
                [now, Batch], reader => (Owner: reader.GetGuid(0), Id: reader.GetGuid(1)), ct);
            foreach (var owner in expired.GroupBy(one => one.Owner))
            {
                var gone = await editing.DeleteAsync(owner.Key, Guid.CreateVersion7(), [.. owner.Select(one => one.Id)], now, ct);
                await index.DeletedAsync(owner.Key, gone.Select(one => (one.Id.Value, one.Version)), ct);
                deleted += gone.Count;
            }

            if (expired.Count < Batch)
                return deleted;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                await TryAsync(stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping: the next start goes on.
        }
    }

    /// <summary>A row that waits in the outbox has not been taken out of the index yet. The index's own tombstones go with its sweep.</summary>
    /// <returns>How many rows were dropped.</returns>
    internal async Task<int> DropDeletedAsync(CancellationToken ct)
    {
        var dropped = 0;
        while (true)
        {
            var batch = await database.AsWorker().ExecuteAsync(
                """
                delete from memories m using (
                    select id from memories where status = 3 and updated_at < $1 and not exists (select from index_outbox o where o.entity_id = memories.id)
                    order by updated_at limit $2) old
                where m.id = old.id
                """,
                [time.GetUtcNow() - options.Value.KeepDeletedFor, Batch], ct);
            dropped += batch;
            if (batch < Batch)
                return dropped;
        }
    }

    private async Task TryAsync(CancellationToken ct)
    {
        try
        {
            if (options.Value.PurgeExpired && await RunOnceAsync(ct) is > 0 and var count)
                LogPurged(count);
            if (await DropDeletedAsync(ct) is > 0 and var dropped)
                LogDropped(dropped);
        }
        catch (NpgsqlException error)
        {
            LogFailed(error);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Count} expired memories were deleted")]
    private partial void LogPurged(int count);

    [LoggerMessage(Level = LogLevel.Information, Message = "{Count} rows of deleted memories were dropped")]
    private partial void LogDropped(int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Expired memories could not be deleted; it is tried again")]
    private partial void LogFailed(Exception error);
}
