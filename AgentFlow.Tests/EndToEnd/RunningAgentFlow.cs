using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using AgentFlow.AppHost.Local;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>
/// The AppHost as its users run it: a process of its own, in the configuration of this test run, with a state folder. Every process
/// that descends from it is known by a mark in its environment, or by the state folder that it works in.
/// </summary>
internal sealed partial class RunningAgentFlow : IAsyncDisposable
{
    private const string MarkName = "AGENTFLOW_TEST_RUN";

    private const int ShownLines = 25;

    private static readonly TimeSpan ReadyWithin = TimeSpan.FromMinutes(5);

    private readonly string _mark = Guid.NewGuid().ToString("N");
    private readonly string _state;
    private readonly ConcurrentQueue<string> _lines = new();
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Process _process;
    private readonly Task _reading;
    private readonly long _started = Stopwatch.GetTimestamp();

    private RunningAgentFlow(string state, IReadOnlyDictionary<string, string> settings, string[] args, ServerUser? user = null)
    {
        _state = state;
        string[] command = [.. user?.Prefix ?? [], Program, .. args];
        var start = new ProcessStartInfo(command[0], command[1..])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardInput = true,
            WorkingDirectory = Solution,
        };
        foreach (var foreign in new[] { "OPENAI_API_KEY", "OPENAI_BASE_URL", "POSTGRES_URL", "QDRANT_URL", "OTEL_EXPORTER_OTLP_ENDPOINT", "ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT" })
            start.Environment.Remove(foreign);
        start.Environment["AGENTFLOW_HOME"] = state;
        start.Environment["AGENTFLOW_WEB_PORT"] = "0";
        start.Environment["AGENTFLOW_API_PORT"] = "0";
        start.Environment["AGENTFLOW_MEMORY_PORT"] = "0";
        start.Environment["AGENTFLOW_STOP_SECONDS"] = "300";
        start.Environment[MarkName] = _mark;
        foreach (var (key, value) in Patience.Environment)
            start.Environment[key] = value;
        foreach (var (key, value) in settings)
            start.Environment[key] = value;
        _process = Process.Start(start)!;
        _reading = ReadAsync();
    }

    /// <summary>The folder of AgentFlow.sln.</summary>
    public static string Solution { get; } = FindSolution();

    public IReadOnlyList<string> Lines => [.. _lines];

    /// <summary>The last lines that tell more than the ordinary.</summary>
    public string Troubles => string.Join('\n', _lines.Where(line => !line.Contains(" info: ", StringComparison.Ordinal)).TakeLast(ShownLines));

    public TimeSpan ReadyAfter { get; private set; }

    public Uri Web { get; private set; } = null!;

    public Uri Api { get; private set; } = null!;

    public Uri Memory { get; private set; } = null!;

    /// <summary>Null once an account exists.</summary>
    public string? SetupToken { get; private set; }

    /// <summary>The AppHost's program, in the configuration of this test run.</summary>
    public static string Program => Path.Combine(Solution, "AgentFlow.AppHost", Output, "AgentFlow.AppHost");

    private static string Output => Path.Combine("bin", new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name, new DirectoryInfo(AppContext.BaseDirectory).Name);

    /// <summary>Starts it and waits for its ready line.</summary>
    public static Task<RunningAgentFlow> StartAsync(string state, IReadOnlyDictionary<string, string>? settings = null, params string[] args) =>
        WhenReadyAsync(new RunningAgentFlow(state, settings ?? new Dictionary<string, string>(StringComparer.Ordinal), args));

    /// <summary>The same as another user than this one, which only root can do.</summary>
    public static Task<RunningAgentFlow> StartAsAsync(ServerUser user, string state, params string[] args) =>
        WhenReadyAsync(new RunningAgentFlow(state, new Dictionary<string, string>(StringComparer.Ordinal) { ["HOME"] = Path.GetDirectoryName(state)! }, args, user));

    private static async Task<RunningAgentFlow> WhenReadyAsync(RunningAgentFlow running)
    {
        try
        {
            await running._ready.Task.WaitAsync(ReadyWithin, TestContext.Current.CancellationToken);
            return running;
        }
        catch (Exception failure) when (failure is TimeoutException or InvalidOperationException or OperationCanceledException)
        {
            await running.DisposeAsync();
            throw new InvalidOperationException($"AgentFlow was not ready. It said:\n{string.Join('\n', running.Lines)}", failure);
        }
    }

    /// <summary>Runs it to its end, for starts that are refused.</summary>
    public static Task<(int ExitCode, string Output)> RunToEndAsync(string state, IReadOnlyDictionary<string, string>? settings = null, params string[] args) =>
        ToItsEndAsync(new RunningAgentFlow(state, settings ?? new Dictionary<string, string>(StringComparer.Ordinal), args));

    /// <summary>The same as another user than this one, which only root can do.</summary>
    public static Task<(int ExitCode, string Output)> RunToEndAsAsync(ServerUser user, string state, params string[] args) =>
        ToItsEndAsync(new RunningAgentFlow(state, new Dictionary<string, string>(StringComparer.Ordinal), args, user));

    private static async Task<(int ExitCode, string Output)> ToItsEndAsync(RunningAgentFlow running)
    {
        await using var disposed = running;
        await running._process.WaitForExitAsync(TestContext.Current.CancellationToken);
        await running._reading;
        return (running._process.ExitCode, string.Join('\n', running.Lines));
    }

    /// <summary>SIGTERM; returns the exit code. How long it took is shown with the test's output; no test depends on it.</summary>
    public async Task<int> TerminateAsync()
    {
        var since = Stopwatch.GetTimestamp();
        Native.Signal(_process.Id, Native.SigTerm);
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken);
        await _reading;
        TestContext.Current.TestOutputHelper?.WriteLine($"Stopped within {Stopwatch.GetElapsedTime(since).TotalSeconds:0.0} s.");
        return _process.ExitCode;
    }

    /// <summary>SIGKILL of the AppHost alone: nothing of it runs any more that could clean up.</summary>
    public async Task KillAppHostAsync()
    {
        Native.Signal(_process.Id, Native.SigKill);
        await _process.WaitForExitAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>The process of one of our services, by its assembly's name: the oldest, since a service can be about to start a child, which has its name until then.</summary>
    public int ServiceProcess(string project) =>
        Descendants().Where(each => CommandLine(each).Contains(project + ".dll", StringComparison.Ordinal)).MinBy(Native.StartTime);

    /// <summary>The numbers of the users that anything of it runs as.</summary>
    public IReadOnlySet<uint> Users() => Descendants()
        .Select(each => Read(each, "status").Split('\n').FirstOrDefault(line => line.StartsWith("Uid:", StringComparison.Ordinal)))
        .OfType<string>().Select(line => uint.Parse(line.Split('\t')[1], CultureInfo.InvariantCulture)).ToHashSet();

    public IReadOnlyDictionary<string, string> EnvironmentOf(string project) =>
        Read(ServiceProcess(project), "environ").Split('\0', StringSplitOptions.RemoveEmptyEntries)
            .Select(each => each.Split('=', 2)).ToDictionary(each => each[0], each => each[1], StringComparer.Ordinal);

    /// <summary>Until nothing is alive of all that this AppHost has started.</summary>
    public Task NothingIsLeftAsync() => Patience.UntilAsync(
        () => Task.FromResult(string.Join('\n', Descendants().Select(each => $"{each} {CommandLine(each)}"))), left => left.Length == 0, "nothing of AgentFlow runs");

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            Native.Signal(_process.Id, Native.SigTerm);
            using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
            try
            {
                await _process.WaitForExitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                _process.Kill();
            }
        }

        // Shown by the runner only when the test failed.
        TestContext.Current.TestOutputHelper?.WriteLine(Troubles);
        _process.Dispose();
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            _lines.Enqueue(line);
            if (Services().Match(line) is { Success: true } services)
            {
                Api = new Uri(services.Groups["api"].Value);
                Memory = new Uri(services.Groups["memory"].Value);
            }

            if (Ready().Match(line) is { Success: true } ready)
            {
                ReadyAfter = Stopwatch.GetElapsedTime(_started);
                Web = new Uri(ready.Groups["web"].Value);
                SetupToken = ready.Groups["token"] is { Success: true } token ? token.Value : null;
                _ready.TrySetResult();
            }
        }

        _ready.TrySetException(new InvalidOperationException("The AppHost ended."));
    }

    private IEnumerable<int> Descendants()
    {
        foreach (var folder in Directory.GetDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                && Native.StartTime(id) is not null
                && (Read(id, "environ").Contains($"{MarkName}={_mark}", StringComparison.Ordinal) || CommandLine(id).Contains(_state, StringComparison.Ordinal) || WorksIn(id, _state)))
            {
                yield return id;
            }
        }
    }

    private static string CommandLine(int process) => Read(process, "cmdline").Replace('\0', ' ');

    private static string Read(int process, string file)
    {
        try
        {
            return File.ReadAllText($"/proc/{process}/{file}");
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static bool WorksIn(int process, string folder)
    {
        try
        {
            return new DirectoryInfo($"/proc/{process}/cwd").ResolveLinkTarget(false)?.FullName.StartsWith(folder, StringComparison.Ordinal) == true;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string FindSolution()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "AgentFlow.sln")))
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run from their build output inside the repository.");
        return folder.FullName;
    }

    [GeneratedRegex(@"API (?<api>http://\S+), memory (?<memory>http://[^;\s]+)", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Services();

    [GeneratedRegex(@"^AgentFlow is ready: (?<web>http://[^?\s]+)(\?setup=(?<token>\w+))?$", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Ready();
}
