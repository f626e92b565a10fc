using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;
using System.Threading.Channels;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Queue;

/// <summary>
/// Claims due tasks, runs their handlers, renews their leases, and puts back what failed. Claims are leased by the database's clock; a
/// worker that was taken for dead finds its fence outdated and changes nothing.
/// </summary>
internal sealed partial class TaskWorker(
    TaskStore store, Notifications notifications, IEnumerable<ITaskHandler> handlers, IOptions<QueueOptions> options, TimeProvider time, ILogger<TaskWorker> logger)
    : BackgroundService
{
    /// <summary>Topic of the notification that a running task should stop: its id.</summary>
    public const string CancelTopic = "task_cancel";

    private static readonly ActivitySource Activities = new("AgentFlow.Queue");
    private static readonly TimeSpan CleanUpLimit = TimeSpan.FromSeconds(3);
    private readonly Dictionary<string, ITaskHandler> byKind = handlers.ToDictionary(handler => handler.Kind, StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Guid, Held> running = new();
    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private sealed record Held(ClaimedTask Claim, CancellationTokenSource Stop)
    {
        /// <summary>Set when the owner asked; otherwise a cancelled token means that we are stopping or lost the claim.</summary>
        public bool CancelRequested { get; set; }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!options.Value.Enabled || byKind.Count == 0)
        {
            return;
        }

        using var due = notifications.Subscribe(TaskStore.Due, _ => wake.Writer.TryWrite(true));
        using var cancel = notifications.Subscribe(CancelTopic, text => StopRunning(text));
        await Task.WhenAll(ClaimLoopAsync(stoppingToken), HeartbeatLoopAsync(stoppingToken));
        await Task.WhenAll(running.Values.Select(held => held.Stop.CancelAsync()));
    }

    private async Task ClaimLoopAsync(CancellationToken ct)
    {
        using var slots = new SemaphoreSlim(options.Value.Concurrency);
        var tasks = new ConcurrentDictionary<Task, bool>();
        try
        {
            while (!ct.IsCancellationRequested)
            {
                await slots.WaitAsync(ct);
                var free = 1;
                while (slots.Wait(0, CancellationToken.None))
                {
                    free++;
                }

                var claimed = await ClaimAsync(free, ct);
                foreach (var claim in claimed)
                {
                    var task = RunAsync(claim, ct);
                    tasks[task] = true;
                    _ = task.ContinueWith(
                        done =>
                        {
                            tasks.TryRemove(done, out var removed);
                            slots.Release();
                        },
                        CancellationToken.None,
                        TaskContinuationOptions.ExecuteSynchronously,
                        TaskScheduler.Default);
                }

                var unused = free - claimed.Count;
                if (unused > 0)
                {
                    slots.Release(unused);
                }

                if (claimed.Count == 0)
                {
                    await WaitForWorkAsync(ct);
                }
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Stopping: what runs is released below.
        }

        await Task.WhenAll(tasks.Keys);
    }

    private async Task<IReadOnlyList<ClaimedTask>> ClaimAsync(int free, CancellationToken ct)
    {
        try
        {
            return await store.ClaimAsync([.. byKind.Keys], free, options.Value.ConcurrencyPerOwner, options.Value.Lease, ct);
        }
        catch (NpgsqlException error)
        {
            LogDatabase(error);
            return [];
        }
    }

    private async Task WaitForWorkAsync(CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(options.Value.PollInterval);
        try
        {
            await wake.Reader.ReadAsync(limit.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // Nobody woke us: look anyway.
        }
    }

    private async Task RunAsync(ClaimedTask claim, CancellationToken stopping)
    {
        await Task.Yield();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        var held = new Held(claim, stop);
        running[claim.Id] = held;
        var links = ActivityContext.TryParse(claim.TraceParent, null, out var asked) ? new[] { new ActivityLink(asked) } : null;
        using var activity = Activities.StartActivity(
            $"task {claim.Kind}", ActivityKind.Consumer, default(ActivityContext), links: links);
        activity?.SetTag("agentflow.task.id", claim.Id).SetTag("agentflow.task.attempt", claim.Attempt);
        try
        {
            var result = await byKind[claim.Kind].RunAsync(new TaskContext(claim, store), stop.Token);
            await EndAsync(claim, "succeeded", result, null);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await StoppedAsync(held);
        }
        catch (TaskPostponedException postponed)
        {
            LogPostponed(claim.Kind, claim.Id, postponed.Message);
            await TryAsync(token => store.ReleaseAsync(claim, postponed.Delay, postponed.Message, countAttempt: false, token));
        }
        catch (TaskFailedException failure)
        {
            LogRefused(claim.Kind, claim.Id, failure.Message);
            await EndAsync(claim, "failed", null, failure.Message);
        }
#pragma warning disable CA1031 // The worker's edge: whatever a handler throws costs one attempt, never the worker.
        catch (Exception error)
#pragma warning restore CA1031
        {
            activity?.SetStatus(ActivityStatusCode.Error);
            await FailedAsync(claim, error);
        }
        finally
        {
            running.TryRemove(claim.Id, out _);
        }
    }

    private Task StoppedAsync(Held held) => held.CancelRequested
        ? EndAsync(held.Claim, "cancelled", null, null)
        : TryAsync(token => store.ReleaseAsync(held.Claim, TimeSpan.Zero, null, countAttempt: false, token));

    private Task FailedAsync(ClaimedTask claim, Exception error)
    {
        LogFailed(error, claim.Kind, claim.Id, claim.Attempt, claim.MaxAttempts);
        return claim.Attempt >= claim.MaxAttempts
            ? EndAsync(claim, "dead", null, TaskReasons.AfterLast(error, claim.Attempt, claim.MaxAttempts))
            : TryAsync(token => store.ReleaseAsync(
                claim,
                RetryDelay.After(options.Value.RetryDelay, claim.Attempt, Random.Shared.NextDouble()),
                TaskReasons.BeforeNext(error, claim.Attempt + 1, claim.MaxAttempts),
                countAttempt: true,
                token));
    }

    private Task EndAsync(ClaimedTask claim, string status, JsonElement? result, string? error) => TryAsync(async token =>
    {
        if (!await store.EndAsync(claim, status, result, error, token))
        {
            LogTakenOver(claim.Kind, claim.Id);
        }
    });

    /// <summary>A claim that can not be given up now is given up by its lease.</summary>
    private async Task TryAsync(Func<CancellationToken, Task> write)
    {
        using var limit = new CancellationTokenSource(CleanUpLimit, time);
        try
        {
            await write(limit.Token);
        }
        catch (Exception error) when (error is NpgsqlException or OperationCanceledException)
        {
            LogDatabase(error);
        }
    }

    private async Task HeartbeatLoopAsync(CancellationToken ct)
    {
        using var timer = new PeriodicTimer(options.Value.Lease / 3, time);
        try
        {
            while (await timer.WaitForNextTickAsync(ct))
            {
                await HeartbeatAsync(ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Stopping.
        }
    }

    private async Task HeartbeatAsync(CancellationToken ct)
    {
        try
        {
            var held = running.Values.ToArray();
            if (held.Length > 0)
            {
                var renewed = await store.RenewAsync([.. held.Select(one => one.Claim.Id)], [.. held.Select(one => one.Claim.Fence)], options.Value.Lease, ct);
                var ours = renewed.ToDictionary(row => row.Id, row => row.CancelRequested);
                foreach (var one in held.Where(one => !ours.TryGetValue(one.Claim.Id, out var cancel) || cancel))
                {
                    one.CancelRequested = ours.ContainsKey(one.Claim.Id);
                    await StopAsync(one);
                }
            }

            if (await store.ReclaimAsync(ct) > 0)
            {
                wake.Writer.TryWrite(true);
            }

            await store.PurgeEndedAsync(options.Value.KeepEnded, ct);
        }
        catch (NpgsqlException error)
        {
            LogDatabase(error);
        }
    }

    private void StopRunning(string id)
    {
        if (Guid.TryParse(id, out var taskId) && running.TryGetValue(taskId, out var held))
        {
            held.CancelRequested = true;
            _ = StopAsync(held);
        }
    }

    private static async Task StopAsync(Held held)
    {
        try
        {
            await held.Stop.CancelAsync();
        }
        catch (ObjectDisposedException)
        {
            // It has just ended.
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Task {Kind} {TaskId} failed in attempt {Attempt} of {MaxAttempts}")]
    private partial void LogFailed(Exception error, string kind, Guid taskId, int attempt, int maxAttempts);

    [LoggerMessage(Level = LogLevel.Information, Message = "Task {Kind} {TaskId} waits: {Reason}")]
    private partial void LogPostponed(string kind, Guid taskId, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Task {Kind} {TaskId} ended without success: {Reason}")]
    private partial void LogRefused(string kind, Guid taskId, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Task {Kind} {TaskId} was taken over by another worker")]
    private partial void LogTakenOver(string kind, Guid taskId);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The queue can not reach the database; it tries again")]
    private partial void LogDatabase(Exception error);
}
