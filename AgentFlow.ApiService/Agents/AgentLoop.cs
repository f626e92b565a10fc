using System.Diagnostics;
using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Learning;
using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts.Runs;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Agents;

/// <summary>One turn of an agent: recall, prompt, model, until done or a limit is hit; then learning is queued. Thread-safe.</summary>
internal sealed class AgentLoop(ChatPipeline models, Recall recall, Learner learner, TimeProvider time)
{
    /// <summary>See <see cref="AgentRun"/>.</summary>
    public async Task RunAsync(RunContext run, RunWriter writer, CancellationToken ct)
    {
        using var span = StartSpan(run);
        var startedAt = time.GetTimestamp();
        var model = models.Open(run.Agent, run.Model);
        var noting = learner.NoteAsync(run, model.IsOffline, ct);
        var recalled = await recall.RunAsync(run, ct);
        await writer.EmitAsync(recalled.ToEvent(), ct);
        var noted = await noting;
        if (noted.Count > 0)
            await writer.EmitAsync(new MemoryStored { Count = noted.Count }, ct);

        var turn = new Turn(run, recalled, noted, model);
        var answer = new AnswerStream(turn.Prompt.Sources.Passages, writer);
        for (NextStep step = NextStep.After(turn.State, run.Agent.Limits); step is not NextStep.Finish; step = NextStep.After(turn.State, run.Agent.Limits))
        {
            if (turn.TakeCompaction() is { } compacted)
                await writer.EmitAsync(compacted, ct);
            await CallModelAsync(turn, answer, ct);
        }

        await answer.EndAsync(ct);
        await writer.EmitAsync(turn.Usage, ct);
        await learner.QueueAsync(run, writer.Text, model.IsOffline, ct);
        Telemetry.InvokeAgentDuration.Record(time.GetElapsedTime(startedAt).TotalSeconds, new TagList { { Telemetry.Tags.AgentName, run.Agent.Slug } });
    }

    private static async Task CallModelAsync(Turn turn, AnswerStream answer, CancellationToken ct)
    {
        turn.BeginStep();
        try
        {
            await foreach (var update in turn.Model.Client.GetStreamingResponseAsync(turn.Messages, turn.Options(), ct))
            {
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
            // The next round asks again with a shorter prompt.
        }
        catch (ModelException e)
        {
            throw ModelErrors.ToRunFailure(e, turn.HasAnswered);
        }
    }

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
