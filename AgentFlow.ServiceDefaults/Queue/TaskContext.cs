using System.Text.Json;

namespace AgentFlow.ServiceDefaults.Queue;

/// <summary>One attempt at a task.</summary>
public sealed class TaskContext
{
    private readonly TaskStore store;

    internal TaskContext(ClaimedTask claim, TaskStore store)
    {
        this.store = store;
        Id = claim.Id;
        OwnerId = claim.OwnerId;
        Input = claim.Input;
        Attempt = claim.Attempt;
        MaxAttempts = claim.MaxAttempts;
        Fence = claim.Fence;
    }

    public Guid Id { get; }

    public Guid OwnerId { get; }

    public JsonElement Input { get; }

    /// <summary>1-based.</summary>
    public int Attempt { get; }

    public int MaxAttempts { get; }

    /// <summary>
    /// This claim's number. A write that must not come from a worker that was taken for dead joins
    /// <c>exists (select from tasks where id = $id and fence = $fence)</c>.
    /// </summary>
    public long Fence { get; }

    /// <summary>Says how far the work is; one small write, so call it per page or batch, not per row.</summary>
    /// <param name="progress">0 to 1.</param>
    /// <param name="step">What is being done, for people.</param>
    /// <param name="ct">Ends the write.</param>
    public Task ReportAsync(double progress, string step, CancellationToken ct) => store.ReportAsync(Id, Fence, Math.Clamp(progress, 0, 1), step, ct);
}
