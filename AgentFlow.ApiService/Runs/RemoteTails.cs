using System.Collections.Concurrent;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// Follows runs that another process executes, for the readers of this one: one query for all of them, when a notification says
/// that there is news, and in any case twice a second.
/// </summary>
internal sealed partial class RemoteTails(RunStore store, LocalRuns local, RunInbox inbox, Notifications notifications, TimeProvider time, ILogger<RemoteTails> logger)
    : BackgroundService
{
    /// <summary>Another process was handed something for a run of somebody's.</summary>
    public const string AddedMessage = "added";

    private const string StopPrefix = "stop:";
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(500);

    private readonly ConcurrentDictionary<RunId, Followed> _followed = new();
    private readonly SemaphoreSlim _news = new(0, 1);
    private int _additions;

    /// <summary>What another process is told to stop a run at once.</summary>
    public static string StopMessage(RunId run) => $"{StopPrefix}{run}";

    /// <summary>A tail that grows until it is released. Every reader releases what it followed.</summary>
    /// <param name="run">Not one of ours.</param>
    /// <param name="after">Where the first reader starts; others read the log up to here.</param>
    public RunTail Follow(RunId run, long after)
    {
        while (true)
        {
            var followed = _followed.GetOrAdd(run, static (_, start) => new Followed(new RunTail(start)), after);
            lock (followed)
            {
                if (followed.Readers < 0)
                    continue;
                followed.Readers++;
            }

            Wake();
            return followed.Tail;
        }
    }

    public void Release(RunId run)
    {
        if (!_followed.TryGetValue(run, out var followed))
            return;
        lock (followed)
        {
            if (--followed.Readers > 0)
                return;
            followed.Readers = -1;
            _followed.TryRemove(run, out _);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var subscription = notifications.Subscribe(RunLog.Topic, OnNotification);
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await _news.WaitAsync(_followed.IsEmpty ? Timeout.InfiniteTimeSpan : PollInterval, stoppingToken);
                await PollAsync(stoppingToken);
            }
            catch (NpgsqlException error)
            {
                LogPollFailed(error);
                await Task.Delay(PollInterval, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async Task PollAsync(CancellationToken ct)
    {
        if (Interlocked.Exchange(ref _additions, 0) > 0)
            await inbox.TakeAsync(ct);
        var followed = _followed.ToArray();
        if (followed.Length == 0)
            return;
        var rows = await store.ReadTailsAsync(
            [.. followed.Select(f => f.Key.Value)], [.. followed.Select(f => f.Value.Tail.LastSeq)], ct);
        foreach (var news in rows.GroupBy(row => row.RunId))
        {
            if (_followed.TryGetValue(new(news.Key), out var target))
                target.Tail.Publish([.. news.Select(row => row.Event)]);
        }
    }

    private void OnNotification(string text)
    {
        if (text.StartsWith(StopPrefix, StringComparison.Ordinal))
        {
            if (RunId.TryParse(text[StopPrefix.Length..], null, out var id) && local.TryFind(id, out var run))
                run.Stop(StopReason.Cancelled);
            return;
        }

        if (text == AddedMessage)
            Interlocked.Exchange(ref _additions, 1);
        Wake();
    }

    private void Wake()
    {
        try
        {
            if (_news.CurrentCount == 0)
                _news.Release();
        }
        catch (SemaphoreFullException)
        {
            // Somebody else woke it in between.
        }
    }

    private sealed class Followed(RunTail tail)
    {
        public RunTail Tail => tail;

        /// <summary>Below 0 once nobody follows and the entry is gone.</summary>
        public int Readers { get; set; }
    }

    public override void Dispose()
    {
        _news.Dispose();
        base.Dispose();
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The runs of other processes could not be followed; trying again")]
    private partial void LogPollFailed(Exception error);
}
