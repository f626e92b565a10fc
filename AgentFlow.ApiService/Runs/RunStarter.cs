using System.Diagnostics;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// Turns a request into a run: one read for what exists (nothing, for a new conversation), one transaction for conversation,
/// message, run and first event, then the executor has it; the recall, which only reads, goes beside that transaction. What is refused leaves nothing behind.
/// </summary>
internal sealed class RunStarter(
    RunCreation creation, RunLog log, ChooseAgent choose, RememberedAgents remembered, RunExecutor executor, RunControl control, LocalRuns local, IOptions<RunsOptions> options, TimeProvider time,
    BeginRecall? recall = null)
{
    /// <summary>Another request may win the conversation between the read and the write; then the read is repeated.</summary>
    private const int MaxAttempts = 5;

    /// <exception cref="ProblemException">Unknown conversation, parent, agent or model; busy; overloaded; key used for something else.</exception>
    public async Task<RunTicket> StartAsync(RunRequest request, CancellationToken ct)
    {
        executor.Admit();
        for (var attempt = 1; ; attempt++)
        {
            var existing = await creation.ReadAsync(request, options.Value.MaxHistoryMessages + 1, ct);
            if (existing.Replay is { } replay)
            {
                var ticket = Attach(replay, request.Idempotency!);
                if (request.IsStreamed || replay.Status != RunStatus.Interrupted || attempt == MaxAttempts)
                    return ticket;

                // Its process was stopped before there was an answer: nobody has got one, and whoever asks again should.
                await creation.ForgetKeyAsync(request.Owner, replay.RunId, ct);
                continue;
            }

            if (request.ConversationId is not null && existing.Conversation is null)
                throw RunErrors.NoConversation();
            var isQueued = await MakeRoomAsync(request, existing, ct);
            var agent = request.Agent ?? existing.Conversation?.Agent;
            var known = isQueued || request.Announce is not null ? null : remembered.Find(request.Owner, agent, request.Model);
            var plan = RunPlan.Make(request, existing, known ?? await ChooseAsync(request, agent, ct), isQueued);
            try
            {
                return await CreateAsync(request, plan, known?.Basis, ct);
            }
            catch (PostgresException error) when (error.SqlState == RunStart.StaleAgent)
            {
                remembered.Forget(request.Owner, agent, request.Model);
            }
            catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.UniqueViolation && attempt < MaxAttempts)
            {
                // Somebody else was first, in this conversation or with this key: look again.
            }
        }
    }

    private async Task<ChosenAgent> ChooseAsync(RunRequest request, string? agent, CancellationToken ct)
    {
        var chosen = await choose(request.AgentOwner ?? request.Owner, agent, request.Model, ct);
        if (request.AgentOwner is null)
            remembered.Keep(request.Owner, agent, request.Model, chosen);
        return chosen;
    }

    private RunTicket Attach(ReplayedRun replay, IdempotencyKey key)
    {
        if (!replay.RequestHash.AsSpan().SequenceEqual(key.RequestHash))
            throw new ProblemException(StatusCodes.Status422UnprocessableEntity, "idempotency_key_reused", "This Idempotency-Key was used for another request.");
        local.TryFind(replay.RunId, out var run);
        return new(replay.RunId, replay.ConversationId, run, IsReplay: true);
    }

    /// <returns>True when the run has to wait for another one.</returns>
    private async Task<bool> MakeRoomAsync(RunRequest request, ExistingState existing, CancellationToken ct)
    {
        if (existing.OpenRuns.Count == 0)
            return false;
        if (request.WhileRunning == WhileRunning.Reject)
            throw RunErrors.Busy(existing.OpenRuns[^1].RunId);
        if (existing.OpenRuns.Count > options.Value.MaxQueuedPerConversation)
            throw RunErrors.QueueFull(options.Value.MaxQueuedPerConversation);
        if (request.WhileRunning == WhileRunning.Interrupt)
        {
            foreach (var open in existing.OpenRuns)
                await control.StopAsync(request.Owner, open.RunId, ct);
        }

        return true;
    }

    private async Task<RunTicket> CreateAsync(RunRequest request, RunPlan plan, AgentBasis? basis, CancellationToken ct)
    {
        var context = plan.Context;
        RunEvent first = plan.IsQueued
            ? new RunQueued { RunId = context.RunId, Seq = 1, At = time.GetUtcNow(), Ahead = plan.Ahead }
            : new RunStarted { RunId = context.RunId, Seq = 1, At = time.GetUtcNow(), ConversationId = context.ConversationId, MessageId = context.MessageId, Agent = context.Agent.Slug, Model = context.Model };
        var run = new RunHandle(context.RunId, context.OwnerId, context.ConversationId, fence: 1, lastSeq: 0);
        var start = new RunStart(request, plan, local.HostId, basis);

        // The statements are on their way before the recall computes anything.
        var writing = plan.IsQueued || request.Announce is not null ? WriteAloneAsync(start, first, run, ct) : log.BeginAsync(run, first, start, ct);
        if (!plan.IsQueued)
            context = context with { Recalling = recall?.Invoke(context, run.Stopping) };
        await writing;
        executor.Start(new(run, context, plan.IsQueued, Activity.Current?.Context ?? default));
        return new(context.RunId, context.ConversationId, run, IsReplay: false);
    }

    /// <summary>What was begun for a run that can not be written is stopped.</summary>
    private async Task WriteAloneAsync(RunStart start, RunEvent first, RunHandle run, CancellationToken ct)
    {
        try
        {
            var stored = StoredEvent.From(first);
            await creation.WriteAsync(start, stored, ct);
            run.LastSeq = stored.Seq;
            run.Tail.Publish([stored]);
        }
        catch
        {
            run.Stop(StopReason.Lost);
            run.Dispose();
            throw;
        }
    }
}
