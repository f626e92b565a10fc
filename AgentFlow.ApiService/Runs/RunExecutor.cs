using System.Collections.Concurrent;
using System.Diagnostics;
using System.Threading.Channels;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Runs;

/// <summary>A run that was created and waits to be executed.</summary>
/// <param name="Context">Without a history if the run has to wait for another one.</param>
/// <param name="IsQueued">True when the conversation is busy.</param>
/// <param name="Parent">The request's trace, so that the run's own hangs below it.</param>
/// <param name="Before">What is in the log already, of a run that goes on after its process ended.</param>
internal sealed record RunWork(RunHandle Run, RunContext Context, bool IsQueued, ActivityContext Parent, IReadOnlyList<RunEvent>? Before = null);

/// <summary>
/// Executes runs, independent of the requests that started them: many at once, each a task that holds neither a thread nor a
/// connection while a model thinks. Writes each run's terminal event, exactly one, whatever happens. On a stop of the process the
/// runs that are being answered are closed as interrupted before the log's writer goes; those that wait are left to the next process.
/// </summary>
internal sealed partial class RunExecutor(
    AgentRun agent, RunLog log, LocalRuns local, TurnQueue turns, IOptions<RunsOptions> options, IHostApplicationLifetime lifetime,
    ILogger<RunExecutor> logger) : BackgroundService
{
    private readonly Channel<RunWork> _work = Channel.CreateBounded<RunWork>(new BoundedChannelOptions(options.Value.MaxConcurrent) { SingleReader = true });
    private readonly ConcurrentDictionary<RunId, Task> _executing = new();

    /// <summary>Refuses, before anything is written, what could not be executed.</summary>
    /// <exception cref="ProblemException">503: too many runs are open, or the process is stopping.</exception>
    public void Admit()
    {
        if (lifetime.ApplicationStopping.IsCancellationRequested)
            throw RunErrors.Stopping();
        if (local.Count >= options.Value.MaxConcurrent)
            throw new ProblemException(StatusCodes.Status503ServiceUnavailable, "overloaded", "Too many answers are being written at the moment. Try again.") { RetryAfter = TimeSpan.FromSeconds(Random.Shared.Next(1, 4)) };
    }

    /// <summary>Never waits: the channel holds as many as may be open.</summary>
    public void Start(RunWork work)
    {
        work.Run.IsUnbegun = work.IsQueued;
        local.Add(work.Run);
        if (lifetime.ApplicationStopping.IsCancellationRequested)
            work.Run.Stop(StopReason.Draining);
        if (_work.Writer.TryWrite(work))
            return;

        // Nobody will execute it here: the lease finds it as a run of ours that we do not know, and closes it.
        local.Remove(work.Run);
        work.Run.Stop(StopReason.Lost);
        work.Run.End(null);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        Drain();
        _work.Writer.TryComplete();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(options.Value.DrainTimeout);
        if (ExecuteTask is { } starting)
            await starting.WaitAsync(limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Task.WhenAll(_executing.Values).WaitAsync(limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!_executing.IsEmpty)
            LogNotDrained(_executing.Count);
        await base.StopAsync(cancellationToken);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var draining = lifetime.ApplicationStopping.Register(Drain);
        await foreach (var work in _work.Reader.ReadAllAsync(CancellationToken.None))
        {
            var task = ExecuteAsync(work);
            if (task.IsCompleted)
                continue;
            _executing[work.Run.RunId] = task;
            if (task.IsCompleted)
                _executing.TryRemove(work.Run.RunId, out _);
        }
    }

    /// <summary>Those that wait for their turn first: the end of the run before theirs must not begin them.</summary>
    private void Drain()
    {
        foreach (var run in local.All.OrderByDescending(run => run.IsUnbegun))
            run.Stop(StopReason.Draining);
    }

    private async Task ExecuteAsync(RunWork work)
    {
        // Off the loop that starts them: an agent may do much before its first wait.
        await Task.Yield();
        var run = work.Run;
        using var activity = Telemetry.Source.StartActivity("run", ActivityKind.Internal, work.Parent);
        var writer = new RunWriter(run.RunId, (evt, ct) => log.AppendAsync(run, evt, ct)) { Additions = run.Additions };
        run.Written = writer;
        foreach (var evt in work.Before ?? [])
            writer.Restore(evt);
        try
        {
            if (await RunAsync(work, writer) is not { } terminal)
            {
                LogParked(run.RunId.Value);
                return;
            }

            await log.EndAsync(run, terminal, RunOutcome.Of(terminal, writer), CancellationToken.None);
            LogEnded(run.RunId.Value, StoredEvent.TypeOf(terminal));
        }
        finally
        {
            run.End(null);
            local.Remove(run);
            _executing.TryRemove(run.RunId, out _);
            turns.Next(run.ConversationId);
            run.Dispose();
        }
    }

    /// <summary>Taken over a moment ago, and nothing was done yet: the next process may as well.</summary>
    private static bool IsUntouched(RunWork work) => work.Before is [.., var last] && work.Run.Tail.LastSeq == last.Seq;

    /// <returns>The run's last event; null when it waits for a person or for its turn, and whoever adopts it goes on.</returns>
    private async Task<RunEvent?> RunAsync(RunWork work, RunWriter writer)
    {
        var run = work.Run;
        try
        {
            var context = work.IsQueued ? await turns.WaitAsync(work, log, run.Stopping) : work.Context;
            await agent(context, writer, run.Stopping);
            return new RunCompleted { MessageId = context.MessageId, Text = writer.Text };
        }
        catch (OperationCanceledException) when (run.Reason == StopReason.Draining && (run.IsUnbegun || writer.IsParked || IsUntouched(work)))
        {
            return null;
        }
        catch (OperationCanceledException) when (run.Stopping.IsCancellationRequested)
        {
            return run.Reason == StopReason.Cancelled ? new RunCancelled { Text = writer.Text } : new RunInterrupted { Text = writer.Text };
        }
        catch (RunInterruptedException interrupted)
        {
            LogInterrupted(interrupted, run.RunId.Value);
            return new RunInterrupted { Text = writer.Text };
        }
        catch (RunFailedException failed)
        {
            LogFailed(failed, run.RunId.Value, failed.Code);
            run.Failure = failed;
            return new RunFailed { Code = failed.Code, Detail = failed.Detail, TraceId = Problem.TraceId };
        }
#pragma warning disable CA1031 // The end of a stream: whatever an agent, a tool or a model throws becomes one terminal event.
        catch (Exception error)
#pragma warning restore CA1031
        {
            LogFailed(error, run.RunId.Value, RunErrors.Internal);
            return new RunFailed { Code = RunErrors.Internal, Detail = "The answer failed for an internal reason. The trace id finds it in the logs.", TraceId = Problem.TraceId };
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Run {RunId} ended: {End}")]
    private partial void LogEnded(Guid runId, string end);

    [LoggerMessage(Level = LogLevel.Information, Message = "Run {RunId} waits and is left to another process")]
    private partial void LogParked(Guid runId);

    [LoggerMessage(Level = LogLevel.Error, Message = "Run {RunId} failed: {Code}")]
    private partial void LogFailed(Exception error, Guid runId, string code);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Run {RunId} broke off")]
    private partial void LogInterrupted(Exception error, Guid runId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Runs} runs did not end within the drain's time; another process will close them")]
    private partial void LogNotDrained(int runs);
}
