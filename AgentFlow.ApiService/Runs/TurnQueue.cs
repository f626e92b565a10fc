using System.Collections.Concurrent;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// Lets the runs of one conversation go one after another. The order is in the database; a run that ends here wakes the next one at
/// once, and every waiting run looks by itself now and then, because the one before it may be another process's.
/// </summary>
internal sealed class TurnQueue(RunStore store, IOptions<RunsOptions> options, TimeProvider time)
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<ConversationId, TaskCompletionSource> _waiting = new();

    /// <summary>Waits for the run's turn, says <c>run.started</c>, and completes its context with the history as it is then.</summary>
    public async Task<RunContext> WaitAsync(RunWork work, RunLog log, CancellationToken ct)
    {
        var (run, context) = (work.Run, work.Context);
        while (true)
        {
            var free = _waiting.GetOrAdd(run.ConversationId, static _ => new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            if (await store.TryPromoteAsync(run.OwnerId, run.RunId, run.Fence, ct))
                break;
            await Task.WhenAny(free, Task.Delay(LookInterval, time, ct));
            ct.ThrowIfCancellationRequested();
        }

        var started = new RunStarted { ConversationId = run.ConversationId, MessageId = context.MessageId, Agent = context.Agent.Slug, Model = context.Model };
        await log.AppendAsync(run, started, ct);
        run.IsUnbegun = false;
        var branch = await store.ReadBranchAsync(run.OwnerId, run.ConversationId, context.UserMessageId, context.IsRoom, options.Value.MaxHistoryMessages + 1, ct);
        return context with { History = [.. branch.SkipLast(1).Select(message => message.ToTurn())] };
    }

    /// <summary>A run of the conversation has ended.</summary>
    public void Next(ConversationId conversation)
    {
        if (_waiting.TryRemove(conversation, out var waiting))
            waiting.SetResult();
    }
}
