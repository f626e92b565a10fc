using AgentFlow.Contracts.Runs;

namespace AgentFlow.ApiService.Runs;

/// <summary>Closes the log of a run whose process died: <c>run.interrupted</c> with what had been said. The run is not executed again.</summary>
internal sealed partial class RunCloser(RunStore store, RunLog log, LocalRuns local, ILogger<RunCloser> logger)
{
    private const int PageSize = 1_000;

    public async Task CloseAsync(AdoptedRun adopted, CancellationToken ct)
    {
        var (written, lastSeq) = await ReplayAsync(adopted, ct);
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

    /// <summary>What the dead process had committed, read after the fence went up, so that nothing can follow it.</summary>
    private async Task<(RunWriter Written, long LastSeq)> ReplayAsync(AdoptedRun adopted, CancellationToken ct)
    {
        var written = new RunWriter(adopted.RunId, (_, _) => ValueTask.CompletedTask);
        var lastSeq = 0L;
        while (true)
        {
            var page = await store.ReadEventsAsync(adopted.OwnerId, adopted.RunId, lastSeq, PageSize, ct);
            foreach (var evt in page)
                await written.EmitAsync(evt.Parse(), ct);
            lastSeq = page.Count == 0 ? lastSeq : page[^1].Seq;
            if (page.Count < PageSize)
                return (written, lastSeq);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Run {RunId} lost its process after event {LastSeq} and was closed as interrupted")]
    private partial void LogClosed(Guid runId, long lastSeq);
}
