namespace AgentFlow.AppHost.Local;

/// <summary>The running children; stopped one after the other, the last started first, all within 10 s.</summary>
internal sealed class ProcessGroup(ConsoleLog console, StateFolder state, LeftOvers leftOvers) : IAsyncDisposable
{
    /// <summary>What ten seconds leave when the AppHost itself needs a moment at the end.</summary>
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(9);

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
            var left = StopWithin - TimeProvider.System.GetElapsedTime(since);
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
        var process = new ManagedProcess(spec, console, state, leftOvers);
        _running.Add(process);
        return process.StartAsync();
    }
}
