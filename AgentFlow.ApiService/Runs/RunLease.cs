using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// Holds this process's lease on its runs, by the database's clock, and takes over the runs of processes that lost theirs: what had begun
/// is closed as interrupted, never executed a second time; what had not begun still gets its turn. One row for each process, so that a heartbeat costs the same for one run
/// and for thousands; the fence of each run keeps out a process that only seemed dead.
/// </summary>
internal sealed partial class RunLease(
    Database database, LocalRuns local, RunInbox inbox, RunCloser closer, RunStore store, IOptions<RunsOptions> options, TimeProvider time, ILogger<RunLease> logger)
    : BackgroundService
{
    private const string Register = "insert into run_hosts (id, lease_until) values ($1, now() + $2::interval)";

    private const string Renew = """
        update run_hosts set lease_until = now() + $2::interval where id = $1 returning (select count(*) from run_hosts where id <> $1 and lease_until > now())
        """;

    private const string StopRequests = "select id from runs where host_id = $1 and ended_at is null and cancel_requested";

    private const string BuryDead = "delete from run_hosts where lease_until < now() and id <> $1";

    /// <summary>
    /// Runs of nobody: of a process without a row, and our own that we do not know, which a request left behind between its
    /// commit and its start. The fence goes up in the same statement.
    /// </summary>
    private const string Adopt = """
        update runs r set host_id = $1, fence = r.fence + 1
        where r.ended_at is null and exists (select from run_hosts me where me.id = $1)
          and (not exists (select from run_hosts h where h.id = r.host_id)
               or (r.host_id = $1 and r.id <> all($2::uuid[]) and r.created_at < now() - $3::interval))
        returning r.id, r.owner_id, r.conversation_id, r.fence, r.status, r.cancel_requested
        """;

    private static readonly TimeSpan BetweenExpiries = TimeSpan.FromMinutes(5);

    /// <summary>A process that died with a thousand open answers must not hold up the heartbeat; each closer takes one connection for a read.</summary>
    private const int ClosersAtOnce = 8;

    private long _expiredAt;

    /// <summary>The lease is there before the first request is.</summary>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        await database.AsWorker().ExecuteAsync(Register, [local.HostId, options.Value.Lease], cancellationToken);
        await base.StartAsync(cancellationToken);
    }

    /// <summary>Frees the lease, so that whatever is left is closed by another process at once.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            await database.AsWorker().ExecuteAsync("delete from run_hosts where id = $1", [local.HostId], cancellationToken);
        }
        catch (NpgsqlException error)
        {
            LogBeatFailed(error);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await BeatAsync(stoppingToken);
            }
            catch (NpgsqlException error)
            {
                LogBeatFailed(error);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }

            await Task.Delay(options.Value.Heartbeat, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Renews the lease, hears requests to stop whose notification was lost, and adopts what nobody holds.</summary>
    internal async Task BeatAsync(CancellationToken ct)
    {
        var worker = database.AsWorker();
        var known = local.Ids();
        var batch = worker.CreateBatch()
            .Add(Renew, [local.HostId, options.Value.Lease])
            .Add(StopRequests, [local.HostId])
            .Add(BuryDead, [local.HostId])
            .Add(Adopt, [local.HostId, known, options.Value.Lease]);
        var (isAlive, stops, adopted) = await batch.ReadAsync(ReadBeatAsync, ct);
        if (!isAlive)
        {
            await StartOverAsync(ct);
            return;
        }

        foreach (var id in stops)
        {
            if (local.TryFind(id, out var run))
                run.Stop(StopReason.Cancelled);
        }

        if (known.Length > 0 && local.OtherHosts > 0)
            await inbox.TakeAsync(ct);
        var limits = new ParallelOptions { MaxDegreeOfParallelism = ClosersAtOnce, CancellationToken = ct };
        await Parallel.ForEachAsync(adopted, limits, async (run, token) => await closer.CloseAsync(run, token));
        await ExpireLogsAsync(ct);
    }

    private async Task<(bool IsAlive, List<RunId> Stops, List<AdoptedRun> Adopted)> ReadBeatAsync(NpgsqlDataReader reader, CancellationToken ct)
    {
        var isAlive = await reader.ReadAsync(ct);
        if (isAlive)
            local.OtherHosts = (int)reader.GetInt64(0);
        await reader.NextResultAsync(ct);
        var stops = new List<RunId>();
        while (await reader.ReadAsync(ct))
            stops.Add(new(reader.GetGuid(0)));
        await reader.NextResultAsync(ct);
        var adopted = new List<AdoptedRun>();
        while (await reader.ReadAsync(ct))
            adopted.Add(new(new(reader.GetGuid(0)), new(reader.GetGuid(1)), new(reader.GetGuid(2)), reader.GetInt32(3), (RunStatus)reader.GetInt16(4), reader.GetBoolean(5)));
        return (isAlive, stops, adopted);
    }

    /// <summary>Others took this process for dead and have closed its runs: stop them here and go on under a new name.</summary>
    private async Task StartOverAsync(CancellationToken ct)
    {
        LogLeaseLost(local.Count);
        foreach (var run in local.All)
            run.Stop(StopReason.Lost);
        local.HostId = Guid.CreateVersion7();
        await database.AsWorker().ExecuteAsync(Register, [local.HostId, options.Value.Lease], ct);
    }

    private async Task ExpireLogsAsync(CancellationToken ct)
    {
        if (_expiredAt != 0 && time.GetElapsedTime(_expiredAt) < BetweenExpiries)
            return;
        _expiredAt = time.GetTimestamp();
        while (await store.ExpireLogsAsync(options.Value.LogRetention, ct) > 0)
            LogExpired();
        await store.DropStatelessAsync(options.Value.LogRetention, ct);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The lease could not be renewed or looked after; the next heartbeat tries again")]
    private partial void LogBeatFailed(Exception error);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The lease was lost: {Runs} runs were stopped, other processes have closed them")]
    private partial void LogLeaseLost(int runs);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Logs past their retention were dropped")]
    private partial void LogExpired();
}
