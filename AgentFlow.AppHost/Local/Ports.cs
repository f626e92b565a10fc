using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace AgentFlow.AppHost.Local;

/// <summary>Which loopback ports the services get.</summary>
internal sealed record Ports(int Web, int Api, int Memory)
{
    private const int HighestPort = 65_535;

    /// <summary>Of those that <see cref="AnyFree"/> picks: above the ports that well-known servers use.</summary>
    private const int LowestPort = 10_000;

    /// <summary>A service that has just been stopped, or killed, may hold its port for a moment longer.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private static readonly (string Key, int Default)[] Settings =
    [
        (ResourceNames.Local.WebPort, ResourceNames.Local.DefaultWebPort),
        (ResourceNames.Local.ApiPort, ResourceNames.Local.DefaultApiPort),
        (ResourceNames.Local.MemoryPort, ResourceNames.Local.DefaultMemoryPort),
    ];

    /// <summary>
    /// A port that the environment names is taken or refused; a busy default moves to the next free one, which is said in the form
    /// that would name it (<c>AGENTFLOW_API_PORT=5083</c>). 0 takes any free port.
    /// </summary>
    /// <param name="read">Reads an environment variable.</param>
    /// <param name="say">Told about ports that moved.</param>
    /// <exception cref="StartRefusedException">For a named port that is busy or no port at all.</exception>
    public static async Task<Ports> ChooseAsync(Func<string, string?> read, Action<string> say, CancellationToken ct)
    {
        var taken = Settings.Select(each => each.Default).ToHashSet();
        var chosen = new List<int>();
        foreach (var (key, usual) in Settings)
        {
            var port = read(key) is { Length: > 0 } named ? await NamedAsync(key, named, chosen, ct) : usual;
            if (read(key) is not { Length: > 0 } && !IsFree(usual))
            {
                port = NextFree(usual, taken);
                say($"Port {usual} is busy, so {key}={port}");
            }
            else if (chosen.Contains(port))
            {
                throw new StartRefusedException($"{key}={port} is given to two services. Give each a port of its own.");
            }

            taken.Add(port);
            chosen.Add(port);
        }

        return new Ports(chosen[0], chosen[1], chosen[2]);
    }

    /// <summary>
    /// A port that nothing listens on at this moment. It lies below the range from which the kernel takes ports for outgoing connections,
    /// so that none of those holds it while its service is started, or down and about to be started again.
    /// </summary>
    public static int AnyFree()
    {
        var below = FirstEphemeral();
        for (var tries = 0; tries < 1_000 && below > LowestPort; tries++)
        {
            var port = Random.Shared.Next(LowestPort, below);
            if (IsFree(port))
                return port;
        }

        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>The usual port of something that nobody has to find by its port, or any free one.</summary>
    public static int FreeOr(int usual) => IsFree(usual) ? usual : AnyFree();

    /// <summary>Whether anything listens on the port, on any address; asks the kernel's table and connects to nothing.</summary>
    public static bool IsTaken(int port) =>
        Array.Exists(IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners(), each => each.Port == port);

    /// <summary>Example: <c>32768	60999</c>.</summary>
    private static int FirstEphemeral()
    {
        try
        {
            var first = File.ReadAllText("/proc/sys/net/ipv4/ip_local_port_range").Split('\t', ' ')[0];
            return int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out var port) ? port : 0;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return 0;
        }
    }

    private static async Task<int> NamedAsync(string key, string named, List<int> chosen, CancellationToken ct)
    {
        if (!int.TryParse(named, NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port > HighestPort)
            throw new StartRefusedException($"{key}={named} is not a port. Give a number from 1 to {HighestPort}, or 0 for any free port.");
        if (port == 0)
        {
            do
                port = AnyFree();
            while (chosen.Contains(port));
            return port;
        }

        var deadline = TimeProvider.System.GetTimestamp();
        while (!IsFree(port))
        {
            if (TimeProvider.System.GetElapsedTime(deadline) > Patience)
                throw new StartRefusedException($"{key}={port} is busy: another process listens there. Stop it, name another port, or leave {key} unset for the next free one.");
            await Task.Delay(TimeSpan.FromMilliseconds(100), ct);
        }

        return port;
    }

    private static int NextFree(int usual, HashSet<int> taken)
    {
        for (var port = usual + 1; port <= HighestPort; port++)
        {
            if (!taken.Contains(port) && IsFree(port))
                return port;
        }

        throw new StartRefusedException($"No port above {usual} is free.");
    }

    /// <summary>Free on both loopback addresses, on which the services listen, and not taken by a listener on any address.</summary>
    private static bool IsFree(int port) => !IsTaken(port) && CanBind(IPAddress.Loopback, port);

    private static bool CanBind(IPAddress address, int port)
    {
        try
        {
            using var listener = new TcpListener(address, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
