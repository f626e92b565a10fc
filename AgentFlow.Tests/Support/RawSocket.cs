using System.Buffers.Binary;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;

namespace AgentFlow.Tests.Support;

/// <summary>A WebSocket made of bytes, for frames that no client library would send.</summary>
internal sealed class RawSocket : IDisposable
{
    private readonly TcpClient _client = new() { NoDelay = true };

    private RawSocket()
    {
    }

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Upgrades; <paramref name="path"/> names the ticket.</summary>
    public static async Task<RawSocket> OpenAsync(Uri server, string path)
    {
        var socket = new RawSocket();
        await socket._client.ConnectAsync(server.Host, server.Port, Ct);
        await socket.SendAsync(Encoding.ASCII.GetBytes(
            $"GET {path} HTTP/1.1\r\nHost: {server.Authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"));
        var answer = new StringBuilder();
        var one = new byte[1];
        while (!answer.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            await socket._client.GetStream().ReadExactlyAsync(one, Ct);
            answer.Append((char)one[0]);
        }

        Assert.StartsWith("HTTP/1.1 101 ", answer.ToString(), StringComparison.Ordinal);
        return socket;
    }

    /// <summary>A frame with a mask of zeros, so that its payload can be read in a test.</summary>
    /// <param name="first">FIN, the reserved bits and the opcode: 0x81 is a whole text.</param>
    public static byte[] Frame(byte first, ReadOnlySpan<byte> payload)
    {
        Assert.True(payload.Length < 65_536);
        var length = payload.Length < 126 ? new[] { (byte)(0x80 | payload.Length) } : [0xFE, (byte)(payload.Length >> 8), (byte)payload.Length];
        return [first, .. length, 0, 0, 0, 0, .. payload];
    }

    /// <summary>The header of a frame whose payload of this length never comes.</summary>
    public static byte[] Announce(byte first, ulong length)
    {
        var header = new byte[14];
        (header[0], header[1]) = (first, 0xFF);
        BinaryPrimitives.WriteUInt64BigEndian(header.AsSpan(2), length);
        return header;
    }

    public async Task SendAsync(byte[] bytes)
    {
        try
        {
            await _client.GetStream().WriteAsync(bytes, Ct);
        }
        catch (IOException)
        {
            // The server has left; what it said is still to be read.
        }
    }

    /// <summary>The next frame that is no pong.</summary>
    public async Task<(WebSocketMessageType Type, byte[] Payload)> ReadAsync()
    {
        while (true)
        {
            var header = new byte[2];
            await _client.GetStream().ReadExactlyAsync(header, Ct);
            var extended = new byte[(header[1] & 0x7F) switch { 126 => 2, 127 => 8, _ => 0 }];
            await _client.GetStream().ReadExactlyAsync(extended, Ct);
            var length = extended.Length == 0 ? header[1] & 0x7F : extended.Aggregate(0, (sum, next) => (sum << 8) + next);
            var payload = new byte[length];
            await _client.GetStream().ReadExactlyAsync(payload, Ct);
            if ((header[0] & 0x0F) != 0xA)
                return ((header[0] & 0x0F) == 8 ? WebSocketMessageType.Close : WebSocketMessageType.Text, payload);
        }
    }

    /// <summary>Reads until the server closes, and that it then leaves.</summary>
    public async Task<WebSocketCloseStatus> ClosedAsync()
    {
        while (true)
        {
            var (type, payload) = await ReadAsync();
            if (type is not WebSocketMessageType.Close)
                continue;
            Assert.True(await IsLeftAsync());
            return (WebSocketCloseStatus)BinaryPrimitives.ReadUInt16BigEndian(payload);
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<bool> IsLeftAsync()
    {
        try
        {
            return await _client.GetStream().ReadAsync(new byte[1], Ct) == 0;
        }
        catch (IOException reset) when (reset.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            return true;
        }
    }
}
