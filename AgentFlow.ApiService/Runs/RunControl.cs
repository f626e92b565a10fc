using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Runs;

/// <summary>Stops runs, wherever they are executed. To stop what does not run is no error.</summary>
internal sealed class RunControl(RunStore store, LocalRuns local, Notifications notifications, TimeProvider time)
{
    /// <summary>An agent that is asked to stop does so at its next await; longer than this it is not waited for.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>Asks the run to stop and returns; the terminal event follows. The caller has seen that the run is the owner's.</summary>
    public async Task StopAsync(OwnerId owner, RunId id, CancellationToken ct)
    {
        if (local.TryFind(id, out var run) && run.OwnerId == owner)
            run.Stop(StopReason.Cancelled);
        else
            await store.AskToStopAsync(owner, id, batch => notifications.Notify(batch, RunLog.Topic, RemoteTails.StopMessage(id)), ct);
    }

    /// <summary>
    /// Hands the run something more, wherever it is executed; it is kept, because a run that waits outlives its process. The caller has
    /// seen that the run is the owner's.
    /// </summary>
    /// <returns>False when the run has ended, or has taken as much as it may.</returns>
    public async Task<bool> AddContextAsync(OwnerId owner, RunId id, JsonElement context, CancellationToken ct)
    {
        var here = local.TryFind(id, out var run) && run.OwnerId == owner ? run : null;
        if (!await store.AddContextAsync(owner, id, context, isTaken: here is not null, Notify, ct))
            return false;
        here?.Additions.Add(context);
        return true;

        void Notify(DbBatch batch)
        {
            if (here is null)
                notifications.Notify(batch, RunLog.Topic, RemoteTails.AddedMessage);
        }
    }

    /// <summary>Stops all runs of a conversation, the waiting ones first, so that none of them starts in between, and waits a moment for their ends.</summary>
    public async Task StopAllAsync(OwnerId owner, ConversationId conversation, CancellationToken ct)
    {
        var ends = new List<Task>();
        foreach (var id in await store.OpenRunsAsync(owner, conversation, ct))
        {
            if (local.TryFind(id, out var run) && run.OwnerId == owner)
                ends.Add(run.Ended);
            await StopAsync(owner, id, ct);
        }

        await Task.WhenAll(ends).WaitAsync(Patience, time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
