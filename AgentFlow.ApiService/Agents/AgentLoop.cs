using System.Diagnostics;
using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Learning;
using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Models.Usage;
using AgentFlow.ApiService.OutputFilter;
using AgentFlow.ApiService.Runs;
using AgentFlow.ApiService.Tools;
using AgentFlow.Contracts.Runs;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Agents;

/// <summary>One turn of an agent: recall, prompt, model, tools, until done or a limit is hit; then learning is queued. Thread-safe.</summary>
internal sealed class AgentLoop(
    ChatPipeline models, Recall recall, ToolCatalog toolCatalog, ToolRunner toolRunner, UsageStore usage, Learner learner, RunCheckpoints checkpoints,
    TimeProvider time)
{
    private static readonly TimeSpan SettleTimeout = TimeSpan.FromSeconds(5);

    /// <summary>See <see cref="AgentRun"/>.</summary>
    public async Task RunAsync(RunContext run, RunWriter writer, CancellationToken ct)
    {
        using var span = StartSpan(run);
        var startedAt = time.GetTimestamp();
        string? error = RunErrors.Internal;
        try
        {
            await TakeTurnAsync(run, writer, ct);
            error = null;
        }
        catch (RunFailedException failed)
        {
            error = failed.Code;
            throw;
        }
        catch (RunInterruptedException)
        {
            error = "interrupted";
            throw;
        }
        finally
        {
            Measure(run, span, startedAt, error == RunErrors.Internal && ct.IsCancellationRequested ? "cancelled" : error);
        }
    }

    private async Task TakeTurnAsync(RunContext run, RunWriter writer, CancellationToken ct)
    {
        var (turn, answer) = run.Checkpoint is { } checkpoint
            ? await ResumeAsync(run, TurnCheckpoint.Parse(checkpoint), writer, ct)
            : await BeginAsync(run, writer, ct);
        try
        {
            var step = NextStep.After(turn.State, run.Agent.Limits);
            while (step is not NextStep.Finish)
            {
                step = step switch
                {
                    NextStep.RunTools tools => await RunToolsAsync(turn, tools.Allowed, ct),
                    NextStep.CallModel call => await CallModelAsync(turn, answer, call.WithTools, ct),
                    _ => throw new UnreachableException(),
                };
            }

            await answer.EndAsync(ct);
            if (turn.CutBy is { } kind)
                await writer.EmitAsync(new FilterApplied { Kind = kind }, ct);
        }
        finally
        {
            if (turn.Tools.ReadUntrustedText)
                writer.MarkAsUntrusted();
            await SettleAsync(turn, writer);
        }

        await writer.EmitAsync(turn.Usage, ct);
        learner.Queue(run, writer, turn.Model.IsOffline, turn.LearnsByRules, turn.Tools.ReadUntrustedText);
    }

    private async Task<(Turn Turn, AnswerStream Answer)> BeginAsync(RunContext run, RunWriter writer, CancellationToken ct)
    {
        var model = models.Open(run.Agent, run.Model);
        var noting = learner.NoteAsync(run, model.IsOffline, ct);
        var recalled = await (run.Recalling ?? recall.RunAsync(run, ct));
        await writer.EmitAsync(recalled.ToEvent(), ct);
        var noted = await noting;
        if (noted.Count > 0)
            await writer.EmitAsync(new MemoryStored { Count = noted.Count }, ct);
        var turn = new Turn(run, recalled, noted, model, toolCatalog.Open(run, writer));
        await ReserveAsync(turn, ct);
        return (turn, new AnswerStream(Filter(turn.Prompt, run), turn.Prompt.Sources.Passages, writer));
    }

    /// <summary>The run waited for a person when its process ended: its turn goes on with the tools that were asked for.</summary>
    private async Task<(Turn Turn, AnswerStream Answer)> ResumeAsync(RunContext run, TurnCheckpoint from, RunWriter writer, CancellationToken ct)
    {
        var turn = new Turn(run, from.Recalled, from.Noted, models.Open(run.Agent, run.Model), toolCatalog.Open(run, writer));
        turn.Restore(from);
        var answer = new AnswerStream(Filter(turn.Prompt, run), turn.Prompt.Sources.Passages, writer);
        await answer.ReplayAsync(from.Said, ct);
        return (turn, answer);
    }

    private async Task<NextStep> CallModelAsync(Turn turn, AnswerStream answer, bool withTools, CancellationToken ct)
    {
        foreach (var added in turn.Tools.Writer.Additions.Take())
        {
            turn.Add(added);
            await turn.Tools.Writer.EmitAsync(new ContextAdded { Context = added }, ct);
        }

        turn.MakeRoom();
        if (turn.TakeCompaction() is { } compacted)
            await turn.Tools.Writer.EmitAsync(compacted, ct);
        if (turn.State.Steps > 0)
            await ReserveAsync(turn, ct);
        turn.BeginStep();
        var limits = turn.Tools.Run.Agent.Limits;
        var startedAt = time.GetTimestamp();
        using var limit = new CancellationTokenSource(limits.Time > turn.WorkTime ? limits.Time - turn.WorkTime : TimeSpan.Zero, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        try
        {
            await foreach (var update in turn.Model.Client.GetStreamingResponseAsync(turn.Messages, turn.Options(withTools), linked.Token))
            {
                turn.Saw(update.FinishReason);
                foreach (var content in update.Contents)
                {
                    turn.Saw(content);
                    if (content is TextContent { Text: var text })
                        await answer.WriteAsync(text, ct);
                }
            }
        }
        catch (ModelException e) when (e.Fault == ModelFault.ContextTooLong && turn.TryShrink())
        {
            return new NextStep.CallModel(withTools);
        }
        catch (ModelException e)
        {
            if (turn.HasAnswered)
                await answer.EndAsync(ct);
            throw ModelErrors.ToRunFailure(e, turn.HasAnswered);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            throw new RunFailedException("time_limit", $"The agent did not finish within its {limits.Seconds} seconds.");
        }

        turn.WorkTime += time.GetElapsedTime(startedAt);
        return NextStep.After(turn.State, limits);
    }

    private async Task<NextStep> RunToolsAsync(Turn turn, int allowed, CancellationToken ct)
    {
        turn.Tools.Park = token => checkpoints.SaveAsync(turn.Tools.Run, turn.Checkpoint().ToJson(), token);
        var (startedAt, waited) = (time.GetTimestamp(), turn.Tools.Waited);
        turn.AddResults(await toolRunner.RunAsync(turn.Tools, turn.PendingCalls, allowed, ct), allowed);
        turn.WorkTime += time.GetElapsedTime(startedAt) - (turn.Tools.Waited - waited);
        return NextStep.AfterTools(turn.State, turn.Tools.Run.Agent.Limits);
    }

    /// <summary>For the next call of the model: what it may use at most, beside what the turn has used already.</summary>
    private async Task ReserveAsync(Turn turn, CancellationToken ct)
    {
        var run = turn.Tools.Run;
        if (turn.Model.IsOffline || !usage.HasBudget)
            return;
        var (input, output) = turn.NextTokens;
        if (!await usage.TryReserveAsync(PayerOf(run), run.RunId, run.Model, turn.Usage, new(input + output, turn.Model.CostOf(input, output)), ct))
            throw new RunFailedException("budget_exhausted", "The account's budget for models is used up for now.", StatusCodes.Status429TooManyRequests, TimeSpan.FromHours(1));
    }

    /// <summary>Also for a run that failed or was cancelled: its tokens are spent. With its end; at once where it waits for a person and has none here.</summary>
    private async Task SettleAsync(Turn turn, RunWriter writer)
    {
        if (turn.Model.IsOffline || (turn.State.Steps == 0 && !usage.HasBudget))
            return;
        var run = turn.Tools.Run;
        var used = turn.Usage;
        if (!writer.IsParked)
        {
            writer.CommitWithEnd(batch => UsageStore.SettleIn(batch, PayerOf(run), run.RunId, run.Model, used.InputTokens, used.OutputTokens, used.Cost));
            return;
        }

        using var limit = new CancellationTokenSource(SettleTimeout, time);
        await usage.SettleAsync(PayerOf(run), run.RunId, run.Model, used.InputTokens, used.OutputTokens, used.Cost, limit.Token);
    }

    private void Measure(RunContext run, Activity? span, long startedAt, string? error)
    {
        var tags = new TagList { { Telemetry.Tags.AgentName, run.Agent.Slug } };
        if (error is not null)
        {
            tags.Add(Telemetry.Tags.ErrorType, error);
            span?.SetTag(Telemetry.Tags.ErrorType, error);
            span?.SetStatus(error == "cancelled" ? ActivityStatusCode.Unset : ActivityStatusCode.Error);
        }

        Telemetry.InvokeAgentDuration.Record(time.GetElapsedTime(startedAt).TotalSeconds, tags);
    }

    private static Payer PayerOf(RunContext run) => new(run.Asker ?? run.OwnerId, run.KeyId);

    private static AnswerFilter Filter(Prompt prompt, RunContext run) =>
        new(prompt.Instructions, [run.Question, .. run.History.Where(t => t.Role == Contracts.Chat.ChatRole.User).Select(t => t.Content)]);

    private static Activity? StartSpan(RunContext run)
    {
        var span = Telemetry.Source.StartActivity($"{Telemetry.Operations.InvokeAgent} {run.Agent.Slug}");
        span?.SetTag(Telemetry.Tags.Operation, Telemetry.Operations.InvokeAgent);
        span?.SetTag(Telemetry.Tags.AgentName, run.Agent.Slug);
        span?.SetTag(Telemetry.Tags.Conversation, run.ConversationId.ToString());
        span?.SetTag(Telemetry.Tags.RunId, run.RunId.ToString());
        span?.SetTag(Telemetry.Tags.RequestModel, run.Model);
        return span;
    }
}
