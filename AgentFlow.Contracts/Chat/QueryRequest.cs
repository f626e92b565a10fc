using System.Text.Json;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Contracts.Chat;

/// <summary>Body of <c>POST /api/v1/chat/query</c>: one question, one JSON answer.</summary>
public sealed record QueryRequest
{
    /// <summary>1 to 50,000 characters.</summary>
    public required string Question { get; init; }

    public ConversationId? ConversationId { get; init; }

    public string? SelectedText { get; init; }

    /// <summary>Passages to recall, 1 to 50; absent: the agent's setting.</summary>
    public int? TopK { get; init; }

    public string? Agent { get; init; }

    public string? Model { get; init; }
}

public enum QueryMode
{
    Retrieval,
    SelectedText,
}

public sealed record QueryAnswer
{
    public required RunId RunId { get; init; }

    public required ConversationId ConversationId { get; init; }

    public required string Answer { get; init; }

    public required QueryMode Mode { get; init; }

    public required IReadOnlyList<Citation> Citations { get; init; }

    public required IReadOnlyList<RecalledChunk> Chunks { get; init; }

    public required IReadOnlyList<RecalledMemory> Memories { get; init; }

    public required IReadOnlyList<ToolCallSummary> ToolCalls { get; init; }

    public required RunUsage Usage { get; init; }

    /// <summary>Sources that were late or down; empty when all answered.</summary>
    public required IReadOnlyList<string> Degraded { get; init; }

    public required QueryTimings Timings { get; init; }
}

public sealed record QueryTimings(double RetrievalMs, double ModelMs, double TotalMs);

/// <summary>One tool call of a finished run: exactly one of result and error.</summary>
public sealed record ToolCallSummary(string CallId, string Tool, JsonElement Arguments, double DurationMs, JsonElement? Result = null, ToolFailure? Error = null);
