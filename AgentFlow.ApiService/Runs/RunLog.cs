using System.Threading.Channels;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// Where a token becomes an event. One writer for the whole process takes everything that is pending in all runs, commits it in one
/// transaction, publishes it, and repeats: no reader ever sees what a crash could take back, and no run waits for another's commit
/// longer than one transaction. Holds one connection, and only while it commits.
/// </summary>
internal sealed partial class RunLog(
    Database database, Notifications notifications, LocalRuns local, IOptions<RunsOptions> options, TimeProvider time, ILogger<RunLog> logger)
    : BackgroundService
{
    /// <summary>Topic of the notifications between processes.</summary>
    public const string Topic = "runs";

    /// <summary>Events of one transaction: bounds its size and the time that the next ones wait.</summary>
    private const int MaxBatch = 5_000;

    /// <summary>With fewer open runs every commit follows the last at once; with more it pauses, so that batches grow instead of commits.</summary>
    private const int RunsWithoutPause = 64;

    /// <summary>How long a request waits for its run to be written; a database that answers takes milliseconds.</summary>
    private static readonly TimeSpan MaxStart = TimeSpan.FromSeconds(10);

    /// <summary>Of the pause, the part that a beginning or an end waits: a sixth, so that no more than 100 commits a second come of it.</summary>
    private const int PartForThoseWhoWait = 6;

    private static readonly TimeSpan PausePerRun = TimeSpan.FromMicroseconds(60);
    private static readonly TimeSpan MaxBackOff = TimeSpan.FromSeconds(1);

    private readonly Channel<PendingEvent> _pending = Channel.CreateBounded<PendingEvent>(
        new BoundedChannelOptions(options.Value.MaxPendingEvents) { SingleReader = true });

    /// <summary>The writer's own, kept for its room.</summary>
    private readonly Dictionary<RunHandle, RunBatch> _byRun = [];

    private TaskCompletionSource _somebodyWaits = NewSignal();
    private volatile bool _isFailing;
    private long _commits;
    private long _events;

    /// <summary>Transactions of the log so far, and the events they held.</summary>
    public (long Commits, long Events) Written => (Interlocked.Read(ref _commits), Interlocked.Read(ref _events));

    /// <summary>Events that wait for the commit after the one that is under way.</summary>
    public int Pending => _pending.Reader.Count;

    /// <summary>Writes a new run with its first event; the caller may leave, the run is written all the same.</summary>
    /// <exception cref="Exception">What refused it: nothing was written. Somebody else was first, the conversation is gone, no database.</exception>
    /// <exception cref="ProblemException">503: the process is stopping.</exception>
    public async Task BeginAsync(RunHandle run, RunEvent first, RunStart start, CancellationToken ct)
    {
        if (_isFailing)
            LoseStart(run, start, new NpgsqlException("The log can not be written at the moment."));
        else
            await AcceptAsync(run, first, start, ct);
        try
        {
            await start.Written.WaitAsync(MaxStart, time, CancellationToken.None);
        }
        catch (TimeoutException late)
        {
            start.GiveUp();
            throw new NpgsqlException("The run could not be written in time.", late);
        }
    }

    private async Task AcceptAsync(RunHandle run, RunEvent first, RunStart start, CancellationToken ct)
    {
        try
        {
            await _pending.Writer.WriteAsync(new(run, first, null, start), ct);
            Volatile.Read(ref _somebodyWaits).TrySetResult();
        }
        catch (ChannelClosedException)
        {
            LoseStart(run, start, RunErrors.Stopping());
        }
        catch (OperationCanceledException left)
        {
            LoseStart(run, start, left);
        }
    }

    /// <summary>Completes when the event was accepted; it is numbered, committed and then published in the order of acceptance.</summary>
    /// <exception cref="OperationCanceledException">The run was lost to another process.</exception>
    public ValueTask AppendAsync(RunHandle run, RunEvent evt, CancellationToken ct)
    {
        if (run.Reason == StopReason.Lost)
            throw new OperationCanceledException(run.Stopping);
        return _pending.Writer.WriteAsync(new(run, evt, null), ct);
    }

    /// <summary>Writes the terminal event, the run's end and its answer in the history in one transaction.</summary>
    /// <returns>The committed event, or null when the run was lost to another process.</returns>
    public async Task<RunEvent?> EndAsync(RunHandle run, RunEvent terminal, RunOutcome outcome, CancellationToken ct)
    {
        if (run.Reason == StopReason.Lost)
        {
            run.End(null);
            return null;
        }

        await _pending.Writer.WriteAsync(new(run, terminal, outcome), ct);
        Volatile.Read(ref _somebodyWaits).TrySetResult();
        return await run.Ended.WaitAsync(ct);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        _pending.Writer.TryComplete();
        if (ExecuteTask is { } writing)
            await writing.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        var taken = new List<PendingEvent>();
        while (await _pending.Reader.WaitToReadAsync(CancellationToken.None))
        {
            var started = time.GetTimestamp();
            var somebodyWaits = NewSignal();
            Volatile.Write(ref _somebodyWaits, somebodyWaits);
            taken.Clear();
            while (taken.Count < MaxBatch && _pending.Reader.TryRead(out var pending))
                taken.Add(pending);
            await WriteAsync(Group(taken), stoppingToken);
            _isFailing = false;
            await PauseAsync(started, somebodyWaits.Task, stoppingToken);
        }
    }

    private List<RunBatch> Group(List<PendingEvent> taken)
    {
        foreach (var pending in taken)
        {
            if (pending.Start is { IsGivenUp: true } late)
                LoseStart(pending.Run, late, new TimeoutException());
            if (pending.Run.Ended.IsCompleted)
                continue;
            if (!_byRun.TryGetValue(pending.Run, out var batch))
                _byRun.Add(pending.Run, batch = new(pending.Run));
            batch.Add(pending);
        }

        var batches = _byRun.Values.ToList();
        _byRun.Clear();
        return batches;
    }

    private async Task WriteAsync(List<RunBatch> batches, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        batches.RemoveAll(batch => !TrySeal(batch, now));
        for (var attempt = 0; batches.Count > 0; attempt++)
        {
            try
            {
                if (attempt > 0)
                    batches = await ReconcileAsync(batches, ct);
                if (batches.Count == 0)
                    return;
                Release(batches, await RunLogSql.CommitAsync(database.AsWorker(), batches, Notifier(), ct));
                return;
            }
            catch (NpgsqlException error) when (batches.Exists(batch => batch.Start is not null))
            {
                // Whoever waits for a start is told; one that was refused must not hold up the others.
                batches = await BeginAloneAsync(batches, error, ct);
            }
            catch (PostgresException error) when (!IsPassing(error) || (error.SqlState == PostgresErrorCodes.UniqueViolation && attempt > 1))
            {
                await SeparateAsync(batches, error, ct);
                return;
            }
            catch (NpgsqlException error)
            {
                _isFailing = true;
                LogRetry(error, batches.Count, attempt);
                await Task.Delay(BackOff(attempt), time, ct);
            }
        }
    }

    /// <summary>
    /// After a refusal each start is tried once more by itself, since only one may be at fault; without an answer none is, since nobody knows what was
    /// committed: what was is closed by the lease.
    /// </summary>
    /// <returns>What is left to write: the batches of runs that have begun.</returns>
    private async Task<List<RunBatch>> BeginAloneAsync(List<RunBatch> batches, NpgsqlException refusal, CancellationToken ct)
    {
        foreach (var batch in batches)
        {
            if (batch.Start is not { } start)
                continue;
            try
            {
                if (refusal is not PostgresException)
                    throw refusal;
                Release([batch], await RunLogSql.CommitAsync(database.AsWorker(), [batch], Notifier(), ct));
            }
            catch (NpgsqlException alone)
            {
                LoseStart(batch.Run, start, alone);
            }
        }

        return batches.FindAll(batch => batch.Start is null);
    }

    private bool TrySeal(RunBatch batch, DateTimeOffset at)
    {
        try
        {
            batch.Seal(at);
            return batch.Stored.Length > 0;
        }
#pragma warning disable CA1031 // The worker loop's edge: an event that can not be written ends its own run, not everybody's.
        catch (Exception error)
#pragma warning restore CA1031
        {
            LogRefused(error, batch.Run.RunId.Value);
            Lose(batch);
            return false;
        }
    }

    /// <summary>A refusal that another try will not cure: find the run whose event it is, and let the others go on.</summary>
    private async Task SeparateAsync(List<RunBatch> batches, PostgresException error, CancellationToken ct)
    {
        if (batches.Count == 1)
        {
            LogRefused(error, batches[0].Run.RunId.Value);
            Lose(batches[0]);
            return;
        }

        foreach (var batch in batches)
        {
            try
            {
                Release([batch], await RunLogSql.CommitAsync(database.AsWorker(), [batch], Notifier(), ct));
            }
            catch (NpgsqlException alone)
            {
                LogRefused(alone, batch.Run.RunId.Value);
                Lose(batch);
            }
        }
    }

    /// <summary>Finds out what of a transaction with an unknown end was committed, publishes that, and returns what is left to write.</summary>
    private async Task<List<RunBatch>> ReconcileAsync(List<RunBatch> batches, CancellationToken ct)
    {
        var ours = await RunLogSql.ReconcileAsync(database.AsWorker(), batches, ct);
        var left = new List<RunBatch>();
        foreach (var batch in batches)
        {
            // A batch is one transaction: its events are all there or none is.
            if (!ours.TryGetValue(batch.Run.RunId.Value, out var lastSeq))
                Lose(batch);
            else if (lastSeq >= batch.Stored[^1].Seq)
                Publish(batch);
            else
                left.Add(batch);
        }

        return left;
    }

    private void Release(List<RunBatch> batches, HashSet<Guid> accepted)
    {
        Interlocked.Increment(ref _commits);
        foreach (var batch in batches)
        {
            if (accepted.Contains(batch.Run.RunId.Value))
                Publish(batch);
            else
                Lose(batch);
        }
    }

    private void Publish(RunBatch batch)
    {
        batch.Start?.Succeed();
        Interlocked.Add(ref _events, batch.Stored.Length);
        batch.Run.LastSeq = batch.Stored[^1].Seq;
        batch.Run.Tail.Publish(batch.Stored);
        if (batch.Terminal is { } terminal)
            batch.Run.End(terminal);
    }

    private void Lose(RunBatch batch)
    {
        if (batch.Start is { } start)
        {
            LoseStart(batch.Run, start, RunErrors.NoConversation());
            return;
        }

        LogLost(batch.Run.RunId.Value, batch.Run.Fence);
        batch.Run.Stop(StopReason.Lost);
        batch.Run.End(null);
    }

    private static void LoseStart(RunHandle run, RunStart start, Exception reason)
    {
        run.Stop(StopReason.Lost);
        run.End(null);
        start.Fail(reason);
        run.Dispose();
    }

    private Action<DbBatch>? Notifier() =>
        local.OtherHosts == 0 ? null : batch => notifications.Notify(batch, Topic, "log");

    /// <summary>Words can wait for each other; who waits for a run's beginning or end, waits for a part of the pause.</summary>
    private async Task PauseAsync(long started, Task somebodyWaits, CancellationToken ct)
    {
        var open = local.Count;
        if (open < RunsWithoutPause)
            return;
        var pause = PausePerRun * open;
        if (pause > options.Value.MaxCommitPause)
            pause = options.Value.MaxCommitPause;
        await DelayAsync((pause / PartForThoseWhoWait) - time.GetElapsedTime(started), ct);
        if (pause - time.GetElapsedTime(started) is { Ticks: > 0 } rest)
            await Task.WhenAny(somebodyWaits, DelayAsync(rest, ct));
    }

    private async Task DelayAsync(TimeSpan delay, CancellationToken ct)
    {
        if (delay > TimeSpan.Zero)
            await Task.Delay(delay, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static TimeSpan BackOff(int attempt) =>
        TimeSpan.FromMilliseconds(Math.Min(MaxBackOff.TotalMilliseconds, 20 * Math.Pow(2, Math.Min(attempt, 10))));

    /// <summary>Classes 08 (connection), 40 (rollback), 53 (resources), 55, 57 (shutdown) pass; so does 23505 after a change of hands.</summary>
    private static bool IsPassing(PostgresException error) =>
        error.IsTransient || error.SqlState is PostgresErrorCodes.UniqueViolation || error.SqlState[..2] is "08" or "40" or "53" or "55" or "57";

    [LoggerMessage(Level = LogLevel.Warning, Message = "The events of {Runs} runs could not be committed (attempt {Attempt}); trying again")]
    private partial void LogRetry(Exception error, int runs, int attempt);

    [LoggerMessage(Level = LogLevel.Error, Message = "The events of run {RunId} can not be written")]
    private partial void LogRefused(Exception error, Guid runId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Run {RunId} is no longer ours (fence {Fence}): nothing was written")]
    private partial void LogLost(Guid runId, int fence);
}
