using System.Net;
using System.Net.Sockets;

namespace AgentFlow.ServiceDefaults.Http;

/// <summary>
/// Makes the handlers through which addresses that users, documents or models wrote are fetched. The check sits where the socket is
/// opened, so that no spelling, redirect, proxy setting or second DNS answer gets around it: what is checked is what is dialled.
/// </summary>
public static class PublicAddressHandler
{
    /// <param name="allowed">Networks that may be reached although they are not public; for intranets that an administrator names.</param>
    /// <param name="resolve">For tests; the machine's resolver otherwise.</param>
    public static SocketsHttpHandler Create(IReadOnlyList<IPNetwork> allowed, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null) => new()
    {
        AllowAutoRedirect = false,
        UseProxy = false,
        UseCookies = false,
        Credentials = null,
        PreAuthenticate = false,
        AutomaticDecompression = DecompressionMethods.All,
        ConnectTimeout = TimeSpan.FromSeconds(5),
        PooledConnectionLifetime = TimeSpan.FromMinutes(1),
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(10),
        MaxConnectionsPerServer = 8,
        MaxResponseHeadersLength = 32,
        MaxResponseDrainSize = 0,

        // Strangers learn nothing of our traces.
        ActivityHeadersPropagator = null,
        ConnectCallback = (context, ct) => ConnectAsync(context.DnsEndPoint, allowed, resolve ?? Dns.GetHostAddressesAsync, ct),
    };

    private static async ValueTask<Stream> ConnectAsync(
        DnsEndPoint target, IReadOnlyList<IPNetwork> allowed, Func<string, CancellationToken, Task<IPAddress[]>> resolve, CancellationToken ct)
    {
        var addresses = await resolve(target.Host, ct);
        var reachable = addresses.Where(address => PublicAddress.IsPublic(address) || allowed.Any(network => network.Contains(Unmap(address)))).ToArray();
        if (reachable.Length == 0)
        {
            throw new FetchRefusedException("address_not_public", "The address does not belong to a public host.");
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(reachable, target.Port, ct);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static IPAddress Unmap(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
}
