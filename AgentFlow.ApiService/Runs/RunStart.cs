namespace AgentFlow.ApiService.Runs;

/// <summary>
/// A run on its way into the database: the log's writer commits it together with what else is pending, so that many that begin at once cost one
/// transaction. Completes exactly once.
/// </summary>
/// <param name="hostId">This process, as the owner of the run's lease.</param>
/// <param name="basis">What the choice of the agent rests on, where that has not been read for this run.</param>
internal sealed class RunStart(RunRequest request, RunPlan plan, Guid hostId, AgentBasis? basis = null)
{
    /// <summary>SQLSTATE of the refusal of a run whose agent was chosen by what has changed since.</summary>
    public const string StaleAgent = "AF001";

    private readonly TaskCompletionSource _written = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _isGivenUp;

    public RunRequest Request => request;

    public RunPlan Plan => plan;

    public Guid HostId => hostId;

    public AgentBasis? Basis => basis;

    /// <summary>Completes when the run is committed; fails with what refused it, and then nothing was written.</summary>
    public Task Written => _written.Task;

    /// <summary>Nobody waits for it any more: what has not been written by now is not to be.</summary>
    public bool IsGivenUp => Volatile.Read(ref _isGivenUp) == 1;

    public void GiveUp() => Volatile.Write(ref _isGivenUp, 1);

    public void Succeed() => _written.TrySetResult();

    public void Fail(Exception reason)
    {
        // Looked at here, since its request may have given up.
        if (_written.TrySetException(reason))
            _ = _written.Task.Exception;
    }
}
