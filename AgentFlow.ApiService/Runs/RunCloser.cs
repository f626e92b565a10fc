using AgentFlow.Contracts.Runs;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// What becomes of a run whose process died. Its log is closed by <c>run.interrupted</c> with what had been said, and the run is not
/// executed again; but one that was waiting, for a person or for its turn, goes on waiting, here.
/// </summary>
internal sealed partial class RunCloser(
    RunStore store, RunLog log, LocalRuns local, RunCheckpoints checkpoints, RunExecutor executor, ILogger<RunCloser> logger)
{
    private const int PageSize = 1_000;

    public async Task CloseAsync(AdoptedRun adopted, CancellationToken ct)
    {
        var events = await ReplayAsync(adopted, ct);
        var lastSeq = events.Count == 0 ? 0 : events[^1].Seq;
        var isUnbegun = events is [RunQueued];
        if (await FindWaitingAsync(adopted, isUnbegun, ct) is { } context)
        {
            var waiting = new RunHandle(adopted.RunId, adopted.OwnerId, adopted.ConversationId, adopted.Fence, lastSeq);
            foreach (var addition in RunAdditions.Left(await store.TakeAllContextAsync(adopted.RunId, ct), events))
                waiting.Additions.Add(addition);
            if (adopted.IsToStop)
                waiting.Stop(StopReason.Cancelled);
            executor.Start(new(waiting, context, IsQueued: isUnbegun, default, events));
            LogGoesOn(adopted.RunId.Value, lastSeq);
            return;
        }

        var written = new RunWriter(adopted.RunId, (_, _) => ValueTask.CompletedTask);
        foreach (var evt in events)
            written.Restore(evt);

        // Which of its tools read what others wrote is not known here.
        if (events.Exists(evt => evt is ContextRecalled { Chunks.Count: > 0 } or ToolReturned or ContextAdded))
            written.MarkAsUntrusted();
        using var run = new RunHandle(adopted.RunId, adopted.OwnerId, adopted.ConversationId, adopted.Fence, lastSeq);
        local.Add(run);
        try
        {
            var terminal = new RunInterrupted { Text = written.Text };
            await log.EndAsync(run, terminal, RunOutcome.Of(terminal, written), ct);
            LogClosed(adopted.RunId.Value, lastSeq);
        }
        finally
        {
            local.Remove(run);
        }
    }

    /// <returns>The run as it was started, if it was waiting; null for one that was answering.</returns>
    private async Task<RunContext?> FindWaitingAsync(AdoptedRun adopted, bool isUnbegun, CancellationToken ct)
    {
        if (!isUnbegun && adopted.Status != RunStatus.AwaitingApproval)
            return null;
        var context = await checkpoints.FindAsync(adopted.OwnerId, adopted.RunId, ct);
        if (!isUnbegun)
            return context?.Checkpoint is null ? null : context;

        // The process may have died between the turn and the words that say so, after which alone the agent is called.
        if (adopted.Status == RunStatus.Running)
            await store.PutBackAsync(adopted, ct);
        return context;
    }

    /// <summary>What the dead process had committed, read after the fence went up, so that nothing can follow it.</summary>
    private async Task<List<RunEvent>> ReplayAsync(AdoptedRun adopted, CancellationToken ct)
    {
        var events = new List<RunEvent>();
        while (true)
        {
            var page = await store.ReadEventsAsync(adopted.OwnerId, adopted.RunId, events.Count == 0 ? 0 : events[^1].Seq, PageSize, ct);
            events.AddRange(page.Select(evt => evt.Parse()));
            if (page.Count < PageSize)
                return events;
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Run {RunId} lost its process while it waited after event {LastSeq}; it goes on here")]
    private partial void LogGoesOn(Guid runId, long lastSeq);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Run {RunId} lost its process after event {LastSeq} and was closed as interrupted")]
    private partial void LogClosed(Guid runId, long lastSeq);
}
