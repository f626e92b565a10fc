namespace AgentFlow.AppHost.Local;

/// <summary>The running children; stopped one after the other, the last started first, all within a time.</summary>
/// <param name="stopWithin">For all of them together; each has its share, which is what its <see cref="ProcessSpec.StopWithin"/> is of the default.</param>
internal sealed class ProcessGroup(ConsoleLog console, StateFolder state, LeftOvers leftOvers, TimeSpan stopWithin) : IAsyncDisposable
{
    private static readonly TimeSpan HealthyWithin = TimeSpan.FromSeconds(90);

    private readonly List<ManagedProcess> _running = [];
    private readonly List<Task> _optional = [];

    /// <summary>Starts some processes side by side and waits until each is healthy.</summary>
    /// <exception cref="StartRefusedException">When one of them is not healthy within 90 s, or ended before it was.</exception>
    public async Task StartAsync(IEnumerable<ProcessSpec?> specs, CancellationToken stop)
    {
        var waiting = specs.OfType<ProcessSpec>().Select(spec => (spec.Name, Healthy: Start(spec))).ToList();
        await foreach (var started in Task.WhenEach(waiting.Select(each => each.Healthy.WaitAsync(HealthyWithin, stop))).WithCancellation(stop))
        {
            try
            {
                await started;
            }
            catch (TimeoutException)
            {
                var late = string.Join(", ", waiting.Where(each => !each.Healthy.IsCompleted).Select(each => each.Name));
                throw new StartRefusedException($"Not healthy within {HealthyWithin.TotalSeconds} s: {late}. Their logs are in {state.Logs}.");
            }
        }
    }

    /// <summary>Starts a process that nothing waits for; when it can not start, that is said and nothing else happens.</summary>
    public void StartOptional(ProcessSpec spec) => _optional.Add(ReportAsync(Start(spec)));

    public async ValueTask DisposeAsync()
    {
        var since = TimeProvider.System.GetTimestamp();
        foreach (var process in Enumerable.Reverse(_running))
        {
            var left = stopWithin - TimeProvider.System.GetElapsedTime(since);
            await process.StopAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero);
            process.Dispose();
        }

        await Task.WhenAll(_optional);
    }

    private async Task ReportAsync(Task healthy)
    {
        try
        {
            await healthy;
        }
        catch (StartRefusedException refusal)
        {
            console.Say(refusal.Message);
        }
        catch (OperationCanceledException)
        {
            // Stopped before it was healthy.
        }
    }

    private Task Start(ProcessSpec spec)
    {
        var share = spec.StopWithin * (stopWithin / TimeSpan.FromSeconds(ResourceNames.Local.DefaultStopSeconds));
        var process = new ManagedProcess(spec with { StopWithin = share }, console, state, leftOvers);
        _running.Add(process);
        return process.StartAsync();
    }
}
