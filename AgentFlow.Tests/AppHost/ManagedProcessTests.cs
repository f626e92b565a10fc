using AgentFlow.AppHost.Local;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.AppHost;

public sealed class ManagedProcessTests : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();
    private readonly ConsoleLog _console = new(Stream.Null);
    private StateFolder _state = null!;
    private LeftOvers _leftOvers = null!;

    public async ValueTask InitializeAsync()
    {
        _state = await StateFolder.OpenAsync(_folder["state"], user: null, _ => { }, TestContext.Current.CancellationToken);
        _leftOvers = new LeftOvers(_state.Path);
    }

    public async ValueTask DisposeAsync()
    {
        _state.Dispose();
        await _console.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_killed_process_is_started_again_and_its_lines_are_kept()
    {
        var starts = new SemaphoreSlim(0);
        var ids = new List<int>();
        using var process = Process("echo started; exec sleep 6000", id =>
        {
            ids.Add(id);
            starts.Release();
        });
        await process.StartAsync();
        await starts.WaitAsync(TestContext.Current.CancellationToken);
        await Patience.UntilAsync(() => Task.FromResult(Lines().Length), lines => lines == 1, "its line in the log");
        Native.Signal(ids[0], Native.SigKill);
        await starts.WaitAsync(TestContext.Current.CancellationToken);
        await Patience.UntilAsync(() => Task.FromResult(Lines().Length), lines => lines == 2, "its second line in the log");
        await process.StopAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(2, ids.Distinct().Count());
        Assert.Equal(["started", "started"], Lines().Select(line => line.Split(' ')[1]));
    }

    [Fact]
    public async Task A_start_that_fails_for_a_reason_of_its_own_shows_the_reason()
    {
        using var process = Process("echo 'Auth:Keys is missing' >&2; exit 3", healthy: null);
        var refusal = await Assert.ThrowsAsync<StartRefusedException>(process.StartAsync);
        Assert.Equal("sample ended with code 3 before it was ready. Its last lines:\nAuth:Keys is missing", refusal.Message);
    }

    [Fact]
    public async Task A_process_that_ignores_the_request_to_stop_is_killed_with_its_children()
    {
        var id = 0;
        using var process = Process("trap '' TERM; sleep 6000 & while :; do wait; done", started => id = started);
        await process.StartAsync();
        await process.StopAsync(TimeSpan.FromMilliseconds(200));
        await Patience.UntilAsync(() => Task.FromResult(string.Join(' ', GroupOf(id))), left => left.Length == 0, "the end of the whole group");
    }

    [Fact]
    public async Task A_process_leads_a_session_of_its_own()
    {
        var id = 0;
        using var process = Process("exec sleep 6000", started => id = started);
        await process.StartAsync();

        // Between the fork and setsid the child is still in our session, for a moment.
        await Patience.UntilAsync(() => SessionOfAsync(id), session => session == id, $"the session of {id}");
        await process.StopAsync(TimeSpan.FromSeconds(30));
    }

    private static async Task<int> SessionOfAsync(int id)
    {
        // 4711 (sleep) S 1 4711 4711 ...: parent, group and session follow the state.
        var fields = (await File.ReadAllTextAsync($"/proc/{id}/stat", TestContext.Current.CancellationToken)).Split(") ")[1].Split(' ');
        return int.Parse(fields[3], System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task What_an_earlier_run_left_is_ended_by_the_next_but_not_by_a_copy()
    {
        var id = 0;
        using var process = Process("trap '' TERM; while :; do sleep 60; done", started => id = started);
        await process.StartAsync();
        Directory.CreateDirectory(_folder["copy"]);
        File.Copy(Path.Combine(_state.Path, "processes.json"), _folder["copy/processes.json"]);
        await new LeftOvers(_folder["copy"]).EndEarlierAsync(_ => { }, TestContext.Current.CancellationToken);
        Assert.NotNull(Native.StartTime(id));

        var stopping = process.StopAsync(TimeSpan.FromSeconds(30));
        await new LeftOvers(_state.Path).EndEarlierAsync(_ => { }, TestContext.Current.CancellationToken);
        await stopping;
        Assert.Null(Native.StartTime(id));
    }

    private string[] Lines() => File.Exists(Path.Combine(_state.Logs, "sample.log")) ? File.ReadAllLines(Path.Combine(_state.Logs, "sample.log")) : [];

    private ManagedProcess Process(string script, Action<int>? healthy) => new(
        new ProcessSpec
        {
            Name = "sample",
            Command = ["sh", "-c", script],
            WorkingDirectory = "/",
            IsHealthy = (id, _) =>
            {
                healthy?.Invoke(id);
                return Task.FromResult(healthy is not null);
            },
            StopWithin = TimeSpan.FromSeconds(30),
        },
        _console,
        _state,
        _leftOvers);

    private static IEnumerable<string> GroupOf(int leader) =>
        Directory.GetDirectories("/proc").Select(Path.GetFileName).Where(name => int.TryParse(name, out _)).Where(name =>
        {
            try
            {
                var fields = File.ReadAllText($"/proc/{name}/stat").Split(") ")[^1].Split(' ');
                return fields[0] != "Z" && fields[2] == leader.ToString(System.Globalization.CultureInfo.InvariantCulture);
            }
            catch (IOException)
            {
                return false;
            }
        })!;
}
