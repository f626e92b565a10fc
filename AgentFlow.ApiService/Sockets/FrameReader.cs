using System.Buffers;
using System.Net.WebSockets;

namespace AgentFlow.ApiService.Sockets;

/// <summary>Why a socket is closed by us; the text goes to the client.</summary>
internal sealed class SocketRefusedException(WebSocketCloseStatus status, string reason) : Exception(reason)
{
    public WebSocketCloseStatus Status => status;
}

/// <summary>Reads whole text messages within bounds of size and rate. Frames count, not messages: empty fragments are a flood, too.</summary>
internal sealed class FrameReader(WebSocket socket, SocketOptions options, TimeProvider time)
{
    private readonly ArrayBufferWriter<byte> _message = new();
    private long _windowStart = time.GetTimestamp();
    private int _framesInWindow;

    /// <returns>The message, valid until the next read; null when the client closes.</returns>
    /// <exception cref="SocketRefusedException">Too long, too fast, or binary.</exception>
    public async Task<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken ct)
    {
        _message.ResetWrittenCount();
        while (true)
        {
            var result = await socket.ReceiveAsync(_message.GetMemory(4_096), ct);
            if (result.MessageType == WebSocketMessageType.Close)
                return null;
            Count();
            if (result.MessageType == WebSocketMessageType.Binary)
                throw new SocketRefusedException(WebSocketCloseStatus.InvalidMessageType, "Send text frames.");
            _message.Advance(result.Count);
            if (_message.WrittenCount > options.MaxMessageBytes)
                throw new SocketRefusedException(WebSocketCloseStatus.MessageTooBig, $"A message has at most {options.MaxMessageBytes} bytes.");
            if (result.EndOfMessage)
                return _message.WrittenMemory;
        }
    }

    /// <summary>One window for a second's frames; a long message arrives in several reads, which count a little.</summary>
    private void Count()
    {
        if (time.GetElapsedTime(_windowStart) >= TimeSpan.FromSeconds(1))
        {
            _windowStart = time.GetTimestamp();
            _framesInWindow = 0;
        }

        var allowed = options.FramesPerSecond + (options.MaxMessageBytes / 1_024);
        if (++_framesInWindow > (_message.WrittenCount == 0 ? options.FramesPerSecond : allowed))
            throw new SocketRefusedException(WebSocketCloseStatus.PolicyViolation, $"At most {options.FramesPerSecond} frames a second.");
    }
}
