using AgentFlow.MemoryService.Index;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.MemoryService.Memories;

/// <summary>Deletes what has expired, when <c>Memory:PurgeExpired</c> asks for it; otherwise expired memories are only hidden.</summary>
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
        if (!options.Value.PurgeExpired)
            return;
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

    private async Task TryAsync(CancellationToken ct)
    {
        try
        {
            if (await RunOnceAsync(ct) is > 0 and var count)
                LogPurged(count);
        }
        catch (NpgsqlException error)
        {
            LogFailed(error);
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Count} expired memories were deleted")]
    private partial void LogPurged(int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Expired memories could not be deleted; it is tried again")]
    private partial void LogFailed(Exception error);
}
