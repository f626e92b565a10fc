using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace AgentFlow.Tests.Support;

/// <summary>
/// Ports for servers that have to be told theirs before they start. They lie below the range from which the kernel takes ports for
/// outgoing connections and for listeners at port 0 (32768 and up), so that nothing takes one while its server starts, or is down for a
/// restart. Thread-safe.
/// </summary>
internal static class LoopbackPort
{
    private const int First = 12_000;
    private const int End = 32_768;

    private static readonly ConcurrentDictionary<int, bool> Given = new();

    /// <summary>A port that nothing listens on and that this process was not given before.</summary>
    public static int Take()
    {
        while (true)
        {
            var port = Random.Shared.Next(First, End);
            if (Given.TryAdd(port, true) && IsFree(port))
                return port;
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var listener = new TcpListener(IPAddress.Loopback, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
