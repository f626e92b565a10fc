using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace AgentFlow.Benchmarks.Start;

/// <summary>
/// What a person waits for: from <c>dotnet run --no-build</c> to the printed address, in an empty state folder and in one that has
/// been used; what the three services then hold in memory without a visitor; how long the stop takes.
/// </summary>
internal static class StartUp
{
    private const string ReadyLine = "AgentFlow is ready:";
    private const int LaterStarts = 5;

    private static readonly TimeSpan FirstStartGoal = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan LaterStartGoal = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan StopGoal = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan RefusalGoal = TimeSpan.FromSeconds(2);

    /// <summary>Wrong settings of each kind; the tests try every one.</summary>
    private static readonly IReadOnlyList<(string Service, string Key, string Value)> Refused =
    [
        ("AgentFlow.ApiService", "Runs__KeepAlive", "soon"), ("AgentFlow.ApiService", "Auth__Keys", "k1:short"), ("AgentFlow.ApiService", "Agents__Path", "/nowhere"),
        ("AgentFlow.MemoryService", "Memory__DecayFloor", "2"),
    ];

    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(30);
    private const double MemoryGoalMiB = 350;

    private static readonly string[] Services = ["api", "memory", "web"];

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var settling = options.Contains("--quick") ? TimeSpan.Zero : Settling;
        var folder = Directory.CreateTempSubdirectory("agentflow-start-").FullName;
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(folder, (UnixFileMode)0b111_001_001);
        var state = Path.Combine(folder, "state");
        try
        {
            var (first, stop) = await OnceAsync(state, null, ct);
            var later = new List<TimeSpan>();
            for (var round = 1; round < LaterStarts; round++)
                later.Add((await OnceAsync(state, null, ct)).Ready);
            var memory = 0.0;
            later.Add((await OnceAsync(
                state,
                async () =>
                {
                    await Task.Delay(settling, ct);
                    memory = await MemoryAsync(state, ct);
                },
                ct)).Ready);
            later.Sort();
            return Print("first start", first, FirstStartGoal)
                + Print($"later start, median of {LaterStarts}", later[LaterStarts / 2], LaterStartGoal)
                + Print($"later start, slowest of {LaterStarts}", later[^1], LaterStartGoal)
                + Print("stop", stop, StopGoal)
                + Print($"refused for a wrong setting, slowest of {Refused.Count}", await RefusedAsync(ct), RefusalGoal)
                + PrintMemory(memory, settling) is 0 ? 0 : 1;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>One start and one stop of the AppHost, as the README's command starts it.</summary>
    private static async Task<(TimeSpan Ready, TimeSpan Stop)> OnceAsync(string state, Func<Task>? meanwhile, CancellationToken ct)
    {
        var configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        var start = new ProcessStartInfo("dotnet", ["run", "--no-build", "-c", configuration, "--project", Path.Combine(Solution(), "AgentFlow.AppHost")])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
        };
        start.Environment["AGENTFLOW_HOME"] = state;
        foreach (var port in new[] { "AGENTFLOW_WEB_PORT", "AGENTFLOW_API_PORT", "AGENTFLOW_MEMORY_PORT" })
            start.Environment[port] = "0";
        var clock = Stopwatch.StartNew();
        using var process = Process.Start(start)!;
        var said = new List<string>();
        while (await process.StandardOutput.ReadLineAsync(ct) is { } line)
        {
            said.Add(line);
            if (line.StartsWith(ReadyLine, StringComparison.Ordinal))
                break;
        }

        var ready = clock.Elapsed;
        if (process.HasExited)
            throw new InvalidOperationException("AgentFlow did not start:\n" + string.Join('\n', said));
        var reading = process.StandardOutput.ReadToEndAsync(ct);
        if (meanwhile is not null)
            await meanwhile();
        clock.Restart();
        using (var kill = Process.Start("kill", ["-TERM", await File.ReadAllTextAsync(Path.Combine(state, "owner.pid"), ct)]))
            await kill.WaitForExitAsync(ct);
        await process.WaitForExitAsync(ct);
        var stop = clock.Elapsed;
        await reading;
        return (ready, stop);
    }

    /// <summary>From the start of a process to its end, for settings that it must refuse; the slowest.</summary>
    private static async Task<TimeSpan> RefusedAsync(CancellationToken ct)
    {
        var slowest = TimeSpan.Zero;
        foreach (var (service, key, value) in Refused)
        {
            var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, service)) { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true };
            start.Environment["ConnectionStrings__agentflow-api"] = start.Environment["ConnectionStrings__agentflow-memory"] = "Host=127.0.0.1;Port=1;Database=none";
            start.Environment["services__memory__http__0"] = "http://127.0.0.1:9";
            start.Environment["Auth__Keys"] = $"k1:{Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32))}";
            start.Environment[key] = value;
            var clock = Stopwatch.StartNew();
            using var process = Process.Start(start)!;
            var said = await process.StandardError.ReadToEndAsync(ct);
            await process.WaitForExitAsync(ct);
            if (process.ExitCode == 0 || !said.Contains("Can not start", StringComparison.Ordinal))
                throw new InvalidOperationException($"{service} did not refuse {key}={value}: {said}");
            slowest = clock.Elapsed > slowest ? clock.Elapsed : slowest;
        }

        return slowest;
    }

    /// <summary>Proportional set size of the three services together, in MiB: shared pages are counted once.</summary>
    private static async Task<double> MemoryAsync(string state, CancellationToken ct)
    {
        using var running = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(state, "processes.json"), ct));
        var total = 0.0;
        foreach (var process in running.RootElement.EnumerateArray().Where(each => Services.Contains(each.GetProperty("name").GetString())))
        {
            // "Pss:               48312 kB"
            var line = (await File.ReadAllLinesAsync($"/proc/{process.GetProperty("processId").GetInt32()}/smaps_rollup", ct)).First(each => each.StartsWith("Pss:", StringComparison.Ordinal));
            var mebibytes = double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
            Console.WriteLine($"{"memory of " + process.GetProperty("name").GetString(),-32} {mebibytes,8:0} MiB PSS");
            total += mebibytes;
        }

        return total;
    }

    private static int Print(string what, TimeSpan found, TimeSpan goal)
    {
        Console.WriteLine($"{what,-32} {found.TotalSeconds,8:0.00} s        goal {goal.TotalSeconds:0} s {Verdict(found <= goal)}");
        return found <= goal ? 0 : 1;
    }

    private static int PrintMemory(double found, TimeSpan settling)
    {
        Console.WriteLine($"{$"memory, {settling.TotalSeconds:0} s after ready",-32} {found,8:0} MiB PSS  goal {MemoryGoalMiB:0} MiB {Verdict(found <= MemoryGoalMiB)}");
        return found <= MemoryGoalMiB ? 0 : 1;
    }

    private static string Verdict(bool met) => met ? "met" : "MISSED";

    private static string Solution()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "AgentFlow.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("Benchmarks run from their build output inside the repository.");
        return folder.FullName;
    }
}
