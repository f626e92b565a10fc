namespace AgentFlow.Contracts.Runs;

public enum RunStatus
{
    Queued,
    Running,
    AwaitingApproval,
    Completed,
    Failed,
    Cancelled,
    Interrupted,
}

/// <summary>A run as <c>GET /api/runs/{id}</c> shows it.</summary>
public sealed record RunState
{
    public required RunId Id { get; init; }

    public required ConversationId ConversationId { get; init; }

    public required RunStatus Status { get; init; }

    public required string Agent { get; init; }

    public required string Model { get; init; }

    /// <summary>Sequence number of the newest event.</summary>
    public required long LastSeq { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? EndedAt { get; init; }
}

public sealed record RunUsage(long InputTokens, long OutputTokens, decimal? Cost = null);
