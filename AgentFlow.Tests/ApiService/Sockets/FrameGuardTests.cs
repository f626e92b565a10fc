using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using AgentFlow.ApiService.Sockets;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace AgentFlow.Tests.ApiService.Sockets;

/// <summary>Frames that no client library sends, to the real server: each ends the socket with its reason, whatever else is on the way.</summary>
public sealed class FrameGuardTests(FrameGuardTests.StillHost fixture) : IClassFixture<FrameGuardTests.StillHost>
{
    private static readonly byte[] Ping = Encoding.UTF8.GetBytes("""{"type":"ping"}""");

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static TheoryData<string, byte[], WebSocketCloseStatus> Malformed => new()
    {
        { "reserved data opcode", RawSocket.Frame(0x83, [1]), WebSocketCloseStatus.ProtocolError },
        { "reserved control opcode", RawSocket.Frame(0x8B, []), WebSocketCloseStatus.ProtocolError },
        { "lone continuation", RawSocket.Frame(0x80, Ping), WebSocketCloseStatus.ProtocolError },
        { "message within a message", [.. RawSocket.Frame(0x01, Ping), .. RawSocket.Frame(0x81, Ping)], WebSocketCloseStatus.ProtocolError },
        { "reserved bit 1", RawSocket.Frame(0xC1, Ping), WebSocketCloseStatus.ProtocolError },
        { "reserved bit 2", RawSocket.Frame(0xA1, Ping), WebSocketCloseStatus.ProtocolError },
        { "reserved bit 3", RawSocket.Frame(0x91, Ping), WebSocketCloseStatus.ProtocolError },
        { "not masked", [0x81, (byte)Ping.Length, .. Ping], WebSocketCloseStatus.ProtocolError },
        { "ping of 126 bytes", RawSocket.Frame(0x89, new byte[126]), WebSocketCloseStatus.ProtocolError },
        { "ping in parts", RawSocket.Frame(0x09, []), WebSocketCloseStatus.ProtocolError },
        { "close of one byte", RawSocket.Frame(0x88, [3]), WebSocketCloseStatus.ProtocolError },
        { "close with a status that is none", RawSocket.Frame(0x88, [0, 5]), WebSocketCloseStatus.ProtocolError },
        { "2^63 bytes", RawSocket.Announce(0x81, 1UL << 63), WebSocketCloseStatus.MessageTooBig },
        { "2^62 bytes", RawSocket.Announce(0x81, 1UL << 62), WebSocketCloseStatus.MessageTooBig },
        { "one byte over the limit", RawSocket.Announce(0x81, (256 * 1_024) + 1), WebSocketCloseStatus.MessageTooBig },
        { "over the limit in parts", [.. RawSocket.Frame(0x01, new byte[60_000]), .. RawSocket.Announce(0x00, 256 * 1_024)], WebSocketCloseStatus.MessageTooBig },
        { "bytes that are not UTF-8", RawSocket.Frame(0x81, [0xC3, 0x28]), WebSocketCloseStatus.InvalidPayloadData },
        { "binary", RawSocket.Frame(0x82, [1]), WebSocketCloseStatus.InvalidMessageType },
        { "flood of empty parts", Repeat(RawSocket.Frame(0x01, []), RawSocket.Frame(0x00, []), 20_000), WebSocketCloseStatus.PolicyViolation },
        { "flood of pings", Repeat([], RawSocket.Frame(0x89, new byte[125]), 5_000), WebSocketCloseStatus.PolicyViolation },
        { "flood of messages", Repeat([], RawSocket.Frame(0x81, Ping), 10_000), WebSocketCloseStatus.PolicyViolation },
    };

    [Theory]
    [MemberData(nameof(Malformed), DisableDiscoveryEnumeration = true)]
    public async Task Frames_that_can_not_be_end_the_socket_with_their_reason(string name, byte[] bytes, WebSocketCloseStatus expected)
    {
        var position = HostLog.Position;
        using var socket = await OpenAsync();
        await socket.SendAsync(RawSocket.Frame(0x81, Ping));
        Assert.Contains("pong", Encoding.UTF8.GetString((await socket.ReadAsync()).Payload), StringComparison.Ordinal);

        await socket.SendAsync(bytes);

        Assert.Equal((name, expected), (name, await socket.ClosedAsync()));
        Assert.DoesNotContain(HostLog.Since(position), line => line.Contains("WebSocket", StringComparison.OrdinalIgnoreCase) || line.Contains("ChatSocket", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Everything_before_the_bad_frame_is_answered()
    {
        using var socket = await OpenAsync();
        await socket.SendAsync([.. RawSocket.Frame(0x81, Ping), .. RawSocket.Frame(0x89, [1]), .. RawSocket.Frame(0x83, [])]);

        Assert.Contains("pong", Encoding.UTF8.GetString((await socket.ReadAsync()).Payload), StringComparison.Ordinal);
        Assert.Equal(WebSocketCloseStatus.ProtocolError, await socket.ClosedAsync());
    }

    /// <summary>However the network cuts them, and however little is asked for at a time, the same bytes come through.</summary>
    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 4_096)]
    [InlineData(4_096, 5)]
    [InlineData(70_000, 8_192)]
    public async Task Good_frames_come_through_unchanged_in_any_pieces(int written, int asked)
    {
        byte[] good = [.. RawSocket.Frame(0x01, new byte[4_085]), .. RawSocket.Frame(0x89, [7]), .. RawSocket.Frame(0x80, new byte[60_000]), .. RawSocket.Frame(0x81, Ping), .. RawSocket.Frame(0x88, [3, 232])];
        await using var guard = new FrameGuard(new Pieces(good, written), new SocketOptions(), new StoppedClock(), NullLogger.Instance);
        using var seen = new MemoryStream();
        var buffer = new byte[asked];
        for (var count = await guard.ReadAsync(buffer, Ct); count > 0; count = await guard.ReadAsync(buffer, Ct))
            seen.Write(buffer, 0, count);

        Assert.True(good.AsSpan().SequenceEqual(seen.ToArray()));
    }

    /// <summary>The refusal takes the bad frame's place at each offset in the buffer that it can begin at.</summary>
    [Fact]
    public async Task A_refusal_fits_wherever_the_bad_frame_begins()
    {
        for (var before = 4_050; before < 4_110; before++)
        {
            byte[] good = RawSocket.Frame(0x81, new byte[before]);
            await using var guard = new FrameGuard(new Pieces([.. good, .. RawSocket.Announce(0x83, 5)], int.MaxValue), new SocketOptions(), new StoppedClock(), NullLogger.Instance);
            using var seen = new MemoryStream();
            await guard.CopyToAsync(seen, Ct);

            Assert.True(good.AsSpan().SequenceEqual(seen.ToArray().AsSpan(0, good.Length)));
            Assert.Equal(0x88, seen.ToArray()[good.Length]);
            Assert.Equal((int)WebSocketCloseStatus.ProtocolError, (seen.ToArray()[good.Length + 6] << 8) + seen.ToArray()[good.Length + 7]);
        }
    }

    private static byte[] Repeat(byte[] first, byte[] next, int count) => [.. first, .. Enumerable.Repeat(next, count).SelectMany(bytes => bytes)];

    private async Task<RawSocket> OpenAsync()
    {
        using var response = await fixture.Host.Admin.Client.PostAsync("/api/ws-ticket", null, Ct);
        response.EnsureSuccessStatusCode();
        var ticket = JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct)).GetProperty("ticket").GetString();
        return await RawSocket.OpenAsync(fixture.Host.Address, $"/ws/chat?ticket={ticket}");
    }

    /// <summary>However slowly this machine sends, it all counts as one second's frames; a refused client is left when it leaves.</summary>
    public sealed class StillHost : IAsyncLifetime
    {
        public ApiHost Host { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Host = await ApiHost.StartAsync([], builder => builder.Services.AddSingleton<TimeProvider>(new StoppedClock()));

        public ValueTask DisposeAsync() => Host.DisposeAsync();
    }

    /// <summary>Gives its bytes in pieces.</summary>
    private sealed class Pieces(byte[] bytes, int size) : MemoryStream(bytes, writable: false)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, size)], cancellationToken);
    }
}
