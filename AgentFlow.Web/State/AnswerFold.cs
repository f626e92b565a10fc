using System.Collections.Immutable;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Web.State;

/// <summary>One event's effect on the answer that its run writes. Pure.</summary>
internal static class AnswerFold
{
    public static MessageView Apply(MessageView message, RunEvent evt) => evt switch
    {
        RunStarted started => message with { Agent = started.Agent, Model = started.Model },
        MessageDelta delta => message with { Text = message.Text + delta.Text, Status = RunStatus.Running },
        CitationAdded citation => message with { Citations = Cite(message.Citations, citation.ToCitation()) },
        UsageReported usage => message with { Usage = new RunUsage(usage.InputTokens, usage.OutputTokens, usage.Cost) },
        RunCompleted completed => message with { Status = RunStatus.Completed, Text = completed.Text },
        RunCancelled cancelled => message with { Status = RunStatus.Cancelled, Text = cancelled.Text },
        RunInterrupted interrupted => message with { Status = RunStatus.Interrupted, Text = interrupted.Text },
        RunFailed failed => message with { Status = RunStatus.Failed, Failure = new RunFailure(failed.Code, failed.Detail, failed.TraceId) },
        _ => message with { Steps = Steps(message.Steps, evt), Status = Status(message.Status, evt) },
    };

    private static RunStatus Status(RunStatus status, RunEvent evt) => evt switch
    {
        ApprovalRequired => RunStatus.AwaitingApproval,
        ApprovalResolved or ToolReturned => RunStatus.Running,
        _ => status,
    };

    private static ImmutableList<RunStep> Steps(ImmutableList<RunStep> steps, RunEvent evt) => evt switch
    {
        ContextRecalled recalled => steps.Add(
            new RecallStep([.. recalled.Memories], [.. recalled.Chunks], recalled.Ms, [.. recalled.Degraded ?? []]) { At = evt.At }),
        ToolCalled called => Call(steps, called),
        ToolReturned returned => Update(steps, returned.CallId, step => step with
        {
            Result = returned.Result,
            Error = returned.Error,
            DurationMs = returned.DurationMs,
        }),
        ApprovalRequired required => Update(Call(steps, AsCall(required)), required.CallId, step => step with { ApprovalExpiresAt = required.ExpiresAt }),
        ApprovalResolved resolved => Update(steps, resolved.CallId, step => step with
        {
            Decision = resolved.Decision,
            Arguments = resolved.Arguments ?? step.Arguments,
        }),
        HistoryCompacted compacted => steps.Add(
            new CompactionStep(compacted.Messages, compacted.TokensBefore, compacted.TokensAfter) { At = evt.At }),
        FilterApplied filter => steps.Add(new FilterStep(filter.Kind) { At = evt.At }),
        MemoryStored stored => steps.Add(new MemoryStep(stored.Count) { At = evt.At }),
        _ => steps,
    };

    private static ToolCalled AsCall(ApprovalRequired required) =>
        new() { CallId = required.CallId, Tool = required.Tool, Arguments = required.Arguments, At = required.At };

    private static ImmutableList<Citation> Cite(ImmutableList<Citation> citations, Citation citation) =>
        citations.Exists(known => known.Index == citation.Index) ? citations : citations.Add(citation);

    private static ImmutableList<RunStep> Call(ImmutableList<RunStep> steps, ToolCalled called) =>
        steps.Exists(step => step is ToolStep tool && tool.CallId == called.CallId)
            ? steps
            : steps.Add(new ToolStep { CallId = called.CallId, Tool = called.Tool, Arguments = called.Arguments, At = called.At });

    private static ImmutableList<RunStep> Update(ImmutableList<RunStep> steps, string callId, Func<ToolStep, ToolStep> change)
    {
        var at = steps.FindIndex(step => step is ToolStep tool && tool.CallId == callId);
        return at < 0 ? steps : steps.SetItem(at, change((ToolStep)steps[at]));
    }
}
