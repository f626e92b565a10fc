using System.Text.Json;

namespace AgentFlow.Contracts.Tasks;

public enum BackgroundTaskStatus
{
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
    Dead,
}

/// <summary>A unit of background work as <c>GET /api/tasks/{id}</c> shows it.</summary>
public sealed record BackgroundTask
{
    public required TaskId Id { get; init; }

    public required string Kind { get; init; }

    public required BackgroundTaskStatus Status { get; init; }

    /// <summary>0 to 1.</summary>
    public required double Progress { get; init; }

    /// <summary>What is being done, for people.</summary>
    public string? Step { get; init; }

    /// <summary>-10 to 10; higher goes first among the caller's own.</summary>
    public required short Priority { get; init; }

    public required int Attempts { get; init; }

    public JsonElement? Result { get; init; }

    public string? Error { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? StartedAt { get; init; }

    public DateTimeOffset? EndedAt { get; init; }
}

/// <param name="Kind">What is to be done.</param>
/// <param name="Input">What the kind needs.</param>
public sealed record CreateTaskRequest(string Kind, JsonElement Input)
{
    /// <summary>-10 to 10; of the caller's own tasks that wait, the one with the highest goes first.</summary>
    public short Priority { get; init; }
}
