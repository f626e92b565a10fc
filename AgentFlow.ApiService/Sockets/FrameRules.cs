using System.Buffers.Binary;
using System.Net.WebSockets;

namespace AgentFlow.ApiService.Sockets;

/// <summary>Why a socket is closed by us; the reason, at most 123 bytes, goes to the client.</summary>
internal readonly record struct SocketRefusal(WebSocketCloseStatus Status, string Reason);

/// <summary>
/// What the frames of one client may look like, decided by their headers alone: RFC 6455 section 5, and our bounds of size and rate.
/// Keeps the state between frames. Not for use by two threads.
/// </summary>
internal sealed class FrameRules(SocketOptions options, TimeProvider time)
{
    /// <summary>Bytes of the longest header: two, a length of eight and a mask of four.</summary>
    public const int LongestHeader = 14;

    private const int LongestControl = 125;
    private const int Masked = 0x80;

    private long _windowStart = time.GetTimestamp();
    private int _framesInWindow;
    private bool _inMessage;
    private long _messageBytes;

    /// <summary>The client has said that it goes.</summary>
    public bool IsClosing { get; private set; }

    /// <returns>Bytes of the header that begins here, 2 to 14; 0 while too few are there to tell.</returns>
    public static int HeaderLength(ReadOnlySpan<byte> bytes) => bytes.Length < 2 ? 0 : 2 + (bytes[1] & ~Masked) switch
    {
        126 => sizeof(ushort),
        127 => sizeof(ulong),
        _ => 0,
    } + ((bytes[1] & Masked) == 0 ? 0 : sizeof(uint));

    /// <param name="header">A whole header.</param>
    /// <param name="payload">Bytes that follow it.</param>
    public SocketRefusal? Check(ReadOnlySpan<byte> header, out long payload)
    {
        var length = LengthOf(header);
        payload = (long)Math.Min(length, long.MaxValue);
        var (isLast, opcode) = ((header[0] & 0x80) != 0, (WebSocketOpcode)(header[0] & 0x0F));
        if (IsTooFast())
            return new(WebSocketCloseStatus.PolicyViolation, $"At most {options.FramesPerSecond} frames a second.");
        if ((header[0] & 0x70) != 0)
            return Wrong("Reserved bits are set.");
        if ((header[1] & Masked) == 0)
            return Wrong("Frames of a client are masked.");
        return opcode switch
        {
            WebSocketOpcode.Close or WebSocketOpcode.Ping or WebSocketOpcode.Pong => CheckControl(opcode, isLast, length),
            WebSocketOpcode.Continuation or WebSocketOpcode.Text => CheckData(opcode, isLast, length),
            WebSocketOpcode.Binary => new(WebSocketCloseStatus.InvalidMessageType, "Send text frames."),
            _ => Wrong("This kind of frame is reserved."),
        };
    }

    private SocketRefusal? CheckControl(WebSocketOpcode opcode, bool isLast, ulong length)
    {
        if (!isLast || length > LongestControl)
            return Wrong($"Control frames are whole and have at most {LongestControl} bytes.");
        IsClosing |= opcode is WebSocketOpcode.Close;
        return null;
    }

    private SocketRefusal? CheckData(WebSocketOpcode opcode, bool isLast, ulong length)
    {
        if (opcode is WebSocketOpcode.Continuation != _inMessage)
            return Wrong(_inMessage ? "A message began within another." : "A continuation of nothing.");
        _messageBytes = _inMessage ? _messageBytes : 0;
        if (length > (ulong)(options.MaxMessageBytes - _messageBytes))
            return new(WebSocketCloseStatus.MessageTooBig, $"A message has at most {options.MaxMessageBytes} bytes.");
        _messageBytes += (long)length;
        _inMessage = !isLast;
        return null;
    }

    /// <summary>Frames count, not messages: empty fragments and pings are a flood, too. One window for a second's frames.</summary>
    private bool IsTooFast()
    {
        if (time.GetElapsedTime(_windowStart) >= TimeSpan.FromSeconds(1))
        {
            _windowStart = time.GetTimestamp();
            _framesInWindow = 0;
        }

        return ++_framesInWindow > options.FramesPerSecond;
    }

    private static ulong LengthOf(ReadOnlySpan<byte> header) => (header[1] & ~Masked) switch
    {
        126 => BinaryPrimitives.ReadUInt16BigEndian(header[2..]),
        127 => BinaryPrimitives.ReadUInt64BigEndian(header[2..]),
        var length => (ulong)length,
    };

    private static SocketRefusal Wrong(string reason) => new(WebSocketCloseStatus.ProtocolError, reason);
}

/// <summary>RFC 6455 section 5.2.</summary>
internal enum WebSocketOpcode
{
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}
