using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Runs;

/// <summary>What the history keeps of an answer beside its text.</summary>
internal sealed record MessageDetails
{
    public IReadOnlyList<Citation> Citations { get; init; } = [];

    public IReadOnlyList<ToolCallSummary> ToolCalls { get; init; } = [];

    public RunUsage? Usage { get; init; }

    public static MessageDetails Parse(string? json) =>
        json is null ? new() : JsonSerializer.Deserialize<MessageDetails>(json, ContractJson.Options)!;
}

/// <summary>How a run ended, as it is written together with its terminal event.</summary>
internal sealed record RunOutcome(RunStatus Status, string Text, MessageDetails Details)
{
    /// <summary>Adds what else belongs to the end: it is committed with the terminal event, or not at all.</summary>
    public IReadOnlyList<Action<DbBatch>> Also { get; init; } = [];

    /// <summary>The outcome that a terminal event and what was written before it stand for.</summary>
    public static RunOutcome Of(RunEvent terminal, RunWriter written)
    {
        var status = terminal switch
        {
            RunCompleted => RunStatus.Completed,
            RunFailed => RunStatus.Failed,
            RunCancelled => RunStatus.Cancelled,
            RunInterrupted => RunStatus.Interrupted,
            _ => throw new ArgumentException("Not a terminal event.", nameof(terminal)),
        };
        return new(status, written.Text, new() { Citations = written.Citations, ToolCalls = written.ToolCalls, Usage = written.Usage }) { Also = written.CommittedWithEnd };
    }
}
