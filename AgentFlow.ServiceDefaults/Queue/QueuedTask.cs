using System.Diagnostics;
using System.Text.Json;

namespace AgentFlow.ServiceDefaults.Queue;

/// <summary>Work to be done once, whatever dies in between: at least one attempt, effects made idempotent by the handler and its fence.</summary>
/// <param name="OwnerId">Whose work it is; also the unit of fairness.</param>
/// <param name="Kind">Which handler takes it.</param>
/// <param name="Input">What the handler needs, small; large things are named by id.</param>
public sealed record QueuedTask(Guid OwnerId, string Kind, JsonElement Input)
{
    public Guid Id { get; init; } = Guid.CreateVersion7();

    /// <summary>Higher goes first, within one owner.</summary>
    public short Priority { get; init; }

    /// <summary>Claims at most; a claim counts even if the worker dies at once.</summary>
    public int MaxAttempts { get; init; } = 5;

    public TimeSpan Delay { get; init; }

    /// <summary>While a task of this owner and kind with the same key waits or runs, another is not added.</summary>
    public string? DedupKey { get; init; }

    /// <summary>The trace that asked for it, to which the work links: the current one, unless the task is written later than it is made.</summary>
    public string? TraceParent { get; init; } = Activity.Current?.Id;
}

/// <summary>A handler's word that another attempt will not help; <paramref name="reason"/> is shown to people.</summary>
public sealed class TaskFailedException(string reason) : Exception(reason);

/// <summary>A handler's word that what it needs is away: the attempt does not count, and another one begins after <paramref name="delay"/>.</summary>
/// <param name="reason">Shown to people meanwhile.</param>
/// <param name="delay">Until the next attempt.</param>
public sealed class TaskPostponedException(string reason, TimeSpan delay) : Exception(reason)
{
    public TimeSpan Delay => delay;
}

/// <summary>Does the work of one kind. Registered once; called concurrently.</summary>
public interface ITaskHandler
{
    string Kind { get; }

    /// <returns>What the task's result should be, or null.</returns>
    /// <exception cref="TaskPostponedException">Something that the work needs is away; this attempt does not count.</exception>
    /// <exception cref="TaskFailedException">The task is over. Anything else thrown means another attempt, after a pause.</exception>
    Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct);
}

/// <summary>A task as its owner sees it.</summary>
public sealed record TaskRecord
{
    public required Guid Id { get; init; }

    public required Guid OwnerId { get; init; }

    public required string Kind { get; init; }

    public required JsonElement Input { get; init; }

    /// <summary>queued, running, succeeded, failed, cancelled or dead.</summary>
    public required string Status { get; init; }

    /// <summary>Higher goes first, within one owner.</summary>
    public required short Priority { get; init; }

    public required int Attempts { get; init; }

    public required int MaxAttempts { get; init; }

    /// <summary>0 to 1.</summary>
    public required double Progress { get; init; }

    public string? Step { get; init; }

    public JsonElement? Result { get; init; }

    public string? Error { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? StartedAt { get; init; }

    public DateTimeOffset? EndedAt { get; init; }
}
