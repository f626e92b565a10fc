using System.Collections.Concurrent;
using System.Diagnostics;

namespace AgentFlow.AppHost.Local;

/// <summary>
/// One child process for as long as the AppHost lives: started in a session of its own, so that Ctrl+C in the terminal reaches only
/// the AppHost; waited for; started again with growing pauses when it dies; stopped.
/// </summary>
internal sealed class ManagedProcess(ProcessSpec spec, ConsoleLog console, StateFolder state, LeftOvers leftOvers) : IDisposable
{
    /// <summary>How many of its last lines are shown when a start is given up.</summary>
    private const int RememberedLines = 15;

    /// <summary>Somebody else ended it: the exit code is 128 and the signal's number. An unhandled exception is 134, and its own doing.</summary>
    private static readonly int[] EndedByOthers = [128 + Native.SigInt, 128 + Native.SigKill, 128 + Native.SigTerm];

    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(15);

    /// <summary>A process that lived this long is started again at once, as if it had never died.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan HealthInterval = TimeSpan.FromMilliseconds(25);

    private readonly LogFile _file = new(state.Logs, spec.Name);
    private readonly ConcurrentQueue<string> _lastLines = new();
    private readonly TaskCompletionSource _healthy = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private bool _stopping;
    private Process? _current;
    private Task _supervising = Task.CompletedTask;

    public string Name => spec.Name;

    /// <summary>Starts the process; the task ends when it is healthy for the first time.</summary>
    /// <exception cref="StartRefusedException">Through the task, when it ended before that for a reason of its own.</exception>
    public Task StartAsync()
    {
        _supervising = SuperviseAsync();
        return _healthy.Task;
    }

    /// <summary>Asks the process to stop, waits, and kills its whole group when it does not.</summary>
    public async Task StopAsync(TimeSpan atMost)
    {
        Process? process;
        lock (_gate)
        {
            _stopping = true;
            process = _current;
            if (process is not null)
                AskToStop(process);
        }

        await _stop.CancelAsync();
        var within = atMost < spec.StopWithin ? atMost : spec.StopWithin;
        if (await Task.WhenAny(_supervising, Task.Delay(within)) != _supervising && process is not null)
        {
            console.Say($"{spec.Name} did not stop within {within.TotalSeconds:0.#} s and is killed");
            Native.SignalGroup(process.Id, Native.SigKill);
        }

        await _supervising;
    }

    public void Dispose()
    {
        _current?.Dispose();
        _file.Dispose();
        _stop.Dispose();
    }

    private async Task SuperviseAsync()
    {
        var pause = FirstPause;
        var first = TimeProvider.System.GetTimestamp();
        while (!_stop.IsCancellationRequested)
        {
            var started = TimeProvider.System.GetTimestamp();
            int exitCode;
            using (var process = Launch())
            {
                if (process is null)
                    break;
                exitCode = await RunAsync(process);
            }

            if (_stop.IsCancellationRequested)
                break;
            if (!_healthy.Task.IsCompleted && !EndedByOthers.Contains(exitCode) && TimeProvider.System.GetElapsedTime(first) >= spec.StartPatience)
            {
                _healthy.SetException(new StartRefusedException(
                    $"{spec.Name} ended with code {exitCode} before it was ready. Its last lines:\n{string.Join('\n', _lastLines)}"));
                return;
            }

            pause = TimeProvider.System.GetElapsedTime(started) > Settled ? FirstPause : pause;
            console.Say($"{spec.Name} ended with code {exitCode}; starting it again in {pause.TotalSeconds:0.#} s");
            await Task.Delay(pause, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }

        _healthy.TrySetCanceled();
    }

    /// <summary>Null when the stop came first.</summary>
    private Process? Launch()
    {
        var start = new ProcessStartInfo("setsid", spec.Command)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = spec.WorkingDirectory,
        };
        foreach (var (key, value) in spec.Environment)
        {
            if (value is null)
                start.Environment.Remove(key);
            else
                start.Environment[key] = value;
        }

        lock (_gate)
        {
            if (_stopping)
                return null;
            _current = Process.Start(start)!;
        }

        leftOvers.Add(spec.Name, _current.Id);
        return _current;
    }

    /// <summary>From start to end: its lines, its health, its exit code.</summary>
    private async Task<int> RunAsync(Process process)
    {
        using var ended = new CancellationTokenSource();
        var output = ReadLinesAsync(process.StandardOutput);
        var error = ReadLinesAsync(process.StandardError);
        var health = AwaitHealthAsync(process.Id, ended.Token);
        await process.WaitForExitAsync(CancellationToken.None);
        lock (_gate)
            _current = null;
        await ended.CancelAsync();
        process.StandardInput.Close();
        leftOvers.Remove(process.Id);

        // What a dead process's own children still hold open does not keep its successor waiting.
        await Task.WhenAny(Task.WhenAll(output, error), Task.Delay(TimeSpan.FromMilliseconds(500)));
        await health;
        return process.ExitCode;
    }

    private async Task AwaitHealthAsync(int processId, CancellationToken ended)
    {
        var again = _healthy.Task.IsCompleted;
        while (!ended.IsCancellationRequested)
        {
            if (await spec.IsHealthy(processId, ended))
            {
                if (again)
                    console.Say($"{spec.Name} is healthy again");
                _healthy.TrySetResult();
                return;
            }

            await Task.Delay(HealthInterval, ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task ReadLinesAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync(CancellationToken.None) is { } line)
        {
            _file.Write(line);
            console.Write(spec.Name, line);
            _lastLines.Enqueue(line);
            while (_lastLines.Count > RememberedLines)
                _lastLines.TryDequeue(out _);
        }
    }

    private void AskToStop(Process process)
    {
        if (spec.StopsByPipe)
            process.StandardInput.Close();
        else
            Native.Signal(process.Id, Native.SigTerm);
    }
}
