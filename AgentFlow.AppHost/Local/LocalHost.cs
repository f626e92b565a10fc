using System.Globalization;
using System.Runtime.InteropServices;

namespace AgentFlow.AppHost.Local;

/// <summary>The local form from the first line to the last: prepare, start, wait for the end, stop.</summary>
internal static class LocalHost
{
    private const int Success = 0;
    private const int Refused = 1;
    private const int LongestStopSeconds = 600;

    /// <returns>0 after a stop that was asked for, 1 when AgentFlow could not start.</returns>
    public static async Task<int> RunAsync(string[] args)
    {
        using var stop = new CancellationTokenSource();
        using var interrupt = On(PosixSignal.SIGINT, stop);
        using var terminate = On(PosixSignal.SIGTERM, stop);
        using var hangUp = On(PosixSignal.SIGHUP, stop);
        using var quit = On(PosixSignal.SIGQUIT, stop);
        var console = new ConsoleLog();
        await using (console)
        {
            try
            {
                var options = CommandLine.Parse(args);
                if (options.Help)
                    console.Announce(CommandLine.HelpText);
                else
                    await RunAsync(options, console, stop.Token);
                return Success;
            }
            catch (StartRefusedException refusal)
            {
                console.Say("AgentFlow can not start. " + refusal.Message);
                return Refused;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return Success;
            }
        }
    }

    private static async Task RunAsync(CommandLine options, ConsoleLog console, CancellationToken stop)
    {
        if (!OperatingSystem.IsLinux())
            throw new StartRefusedException("The local form needs Linux: it starts PostgreSQL and the services with setsid, flock and Unix sockets. Here, run the Aspire form: set UseAspire=true (docs/operations.md).");
        var installation = Installation.Find();
        DotEnv.Load(Path.Combine(installation.Solution, ".env"));
        var wanted = Composition.Configured(ResourceNames.Local.Home) ?? Path.Combine(installation.Solution, ".agentflow");
        var user = HasOwnPostgres() ? null : ServerUser.ForThisProcess();
        using var state = await StateFolder.OpenAsync(Path.GetFullPath(wanted), user, console.Say, stop);
        var leftOvers = new LeftOvers(state.Path);
        await leftOvers.EndEarlierAsync(console.Say, stop);
        if (options.Reset)
            state.Reset();
        var secrets = Secrets.LoadOrCreate(state.Path);
        var cluster = HasOwnPostgres() ? null : await FindClusterAsync(installation, state, user, secrets, stop);
        var ports = await Ports.ChooseAsync(Environment.GetEnvironmentVariable, console.Say, stop);
        using var probe = new HealthProbe();
        var dashboard = Composition.Configured(ResourceNames.Keys.OtlpEndpoint) is null ? Dashboard.Find() : null;
        var composition = new Composition(installation, ports, secrets, cluster, FindQdrant(state, secrets), dashboard, probe);
        var group = new ProcessGroup(console, state, leftOvers, StopWithin());
        await using (group)
        {
            if (dashboard is not null)
                console.Say($"Telemetry: the Aspire dashboard starts at {Composition.Text(dashboard.Address)}");
            else if (Composition.Configured(ResourceNames.Keys.OtlpEndpoint) is null)
                console.Say(Dashboard.HowToGet);
            await StartAsync(options, composition, cluster, group, console, stop);
            await AnnounceAsync(options, composition, probe, console, stop);
            await Task.Delay(Timeout.InfiniteTimeSpan, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            console.Say("Stopping");
        }

        cluster?.RemoveSockets();
    }

    /// <summary>The services wait for the database only; they find each other by address and start side by side.</summary>
    private static async Task StartAsync(
        CommandLine options, Composition composition, PostgresCluster? cluster, ProcessGroup group, ConsoleLog console, CancellationToken stop)
    {
        if (composition.Dashboard is { } dashboard)
            group.StartOptional(dashboard);
        if (cluster is not null)
            await cluster.PrepareAsync(console.Say, stop);
        await group.StartAsync([composition.Postgres, composition.Qdrant], stop);
        await group.StartAsync([composition.Memory, composition.Api, options.NoWeb ? null : composition.Web], stop);
    }

    private static async Task AnnounceAsync(CommandLine options, Composition composition, HealthProbe probe, ConsoleLog console, CancellationToken stop)
    {
        var setup = await probe.NeedsSetupAsync(composition.ApiAddress, stop) ? "?setup=" + composition.SetupToken : "";
        console.Say($"API {Composition.Text(composition.ApiAddress)}, memory {Composition.Text(composition.MemoryAddress)}; Ctrl+C stops everything");
        console.Announce("AgentFlow is ready: " + Composition.Text(options.NoWeb ? composition.ApiAddress : composition.WebAddress) + setup);
    }

    private static async Task<PostgresCluster> FindClusterAsync(
        Installation installation, StateFolder state, ServerUser? user, Secrets secrets, CancellationToken ct)
    {
        var places = PostgresBinaries.Places(installation.Solution, Environment.GetEnvironmentVariable);
        var binaries = await PostgresBinaries.FindAsync(places, PostgresCluster.MajorIn(state.Path), user, ct);
        return new PostgresCluster(state.Path, binaries, user, secrets.PostgresPassword);
    }

    /// <summary>Null when a connection string names a Qdrant, which the services then read themselves, or when there is no program.</summary>
    private static QdrantServer? FindQdrant(StateFolder state, Secrets secrets)
    {
        if (new[] { ResourceNames.Keys.QdrantConnection, ResourceNames.Keys.QdrantHttpConnection, ResourceNames.Keys.QdrantUrlAlias }.Any(key => Composition.Configured(key) is not null)
            || Tool.FindOnPath("qdrant") is not { } program)
        {
            return null;
        }

        var qdrant = new QdrantServer(program, state.Path, secrets.QdrantKey, Ports.AnyFree(), Ports.AnyFree());
        Directory.CreateDirectory(qdrant.Folder);
        return qdrant;
    }

    /// <exception cref="StartRefusedException">For what is no number of seconds.</exception>
    private static TimeSpan StopWithin()
    {
        if (Composition.Configured(ResourceNames.Local.StopSeconds) is not { } text)
            return TimeSpan.FromSeconds(ResourceNames.Local.DefaultStopSeconds);
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds is > 0 and <= LongestStopSeconds
            ? TimeSpan.FromSeconds(seconds)
            : throw new StartRefusedException($"{ResourceNames.Local.StopSeconds}={text} is not a number of seconds from 1 to {LongestStopSeconds}.");
    }

    /// <exception cref="StartRefusedException">When only one of the two databases is named.</exception>
    private static bool HasOwnPostgres()
    {
        var api = Composition.Configured(ResourceNames.Keys.ApiConnection) is not null;
        var memory = Composition.Configured(ResourceNames.Keys.MemoryConnection) is not null;
        if (api != memory)
            throw new StartRefusedException($"{(api ? ResourceNames.Keys.ApiConnection : ResourceNames.Keys.MemoryConnection)} is set and its sibling is not. Set both, or neither for the private PostgreSQL.");
        return api || Composition.Configured(ResourceNames.Keys.PostgresUrlAlias) is not null;
    }

    private static PosixSignalRegistration On(PosixSignal signal, CancellationTokenSource stop) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        stop.Cancel();
    });
}
