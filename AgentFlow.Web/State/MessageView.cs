using System.Collections.Immutable;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Web.State;

/// <summary>One message as the page shows it. Immutable: equal references mean that nothing has to be drawn again.</summary>
public sealed record MessageView
{
    public required MessageId Id { get; init; }

    public MessageId? ParentId { get; init; }

    public required ChatRole Role { get; init; }

    public string Text { get; init; } = "";

    /// <summary>What was selected and asked about; only with a question.</summary>
    public string? Quote { get; init; }

    public string? Author { get; init; }

    /// <summary>Who wrote it; only in rooms.</summary>
    public OwnerId? AuthorId { get; init; }

    public RunId? RunId { get; init; }

    public RunStatus Status { get; init; } = RunStatus.Completed;

    public ImmutableList<Citation> Citations { get; init; } = [];

    public ImmutableList<RunStep> Steps { get; init; } = [];

    public RunUsage? Usage { get; init; }

    /// <summary>Why the run failed; only with <see cref="RunStatus.Failed"/>.</summary>
    public RunFailure? Failure { get; init; }

    public string? Agent { get; init; }

    public string? Model { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public bool IsRunning => Status is RunStatus.Queued or RunStatus.Running or RunStatus.AwaitingApproval;

    public static MessageView From(HistoryMessage message) => new()
    {
        Id = message.Id,
        ParentId = message.ParentId,
        Role = message.Role,
        Text = message.Content,
        Quote = message.SelectedText,
        Author = message.Author,
        AuthorId = message.AuthorId,
        RunId = message.RunId,
        Status = message.Status,
        Citations = [.. message.Citations.OrderBy(citation => citation.Index)],
        Steps = [.. message.ToolCalls.Select(ToolStep.From)],
        Usage = message.Usage,
        CreatedAt = message.CreatedAt,
    };
}

/// <param name="Detail">For people, safe to show.</param>
public sealed record RunFailure(string Code, string Detail, string? TraceId);

/// <summary>One line of a run's timeline.</summary>
public abstract record RunStep
{
    /// <summary>When the log's writer committed it; null for what only the history tells.</summary>
    public DateTimeOffset? At { get; init; }
}

public sealed record RecallStep(
    ImmutableList<RecalledMemory> Memories, ImmutableList<RecalledChunk> Chunks, double Ms, ImmutableList<string> Degraded) : RunStep;

/// <summary>A tool call, from the moment it was asked for to its result or refusal.</summary>
public sealed record ToolStep : RunStep
{
    public required string CallId { get; init; }

    public required string Tool { get; init; }

    public required JsonElement Arguments { get; init; }

    public JsonElement? Result { get; init; }

    public ToolFailure? Error { get; init; }

    /// <summary>Milliseconds; null while it runs.</summary>
    public double? DurationMs { get; init; }

    /// <summary>Until when a person may decide; null when nobody has to.</summary>
    public DateTimeOffset? ApprovalExpiresAt { get; init; }

    /// <summary>approve, deny or expired; null while open or not needed.</summary>
    public string? Decision { get; init; }

    public bool AwaitsApproval => ApprovalExpiresAt is not null && Decision is null && DurationMs is null;

    public static RunStep From(ToolCallSummary call) => new ToolStep
    {
        CallId = call.CallId,
        Tool = call.Tool,
        Arguments = call.Arguments,
        Result = call.Result,
        Error = call.Error,
        DurationMs = call.DurationMs,
    };
}

public sealed record CompactionStep(int Messages, int TokensBefore, int TokensAfter) : RunStep;

public sealed record FilterStep(string Kind) : RunStep;

public sealed record MemoryStep(int Count) : RunStep;
