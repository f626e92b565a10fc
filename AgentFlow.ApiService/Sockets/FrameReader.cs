using System.Buffers;
using System.Net.WebSockets;

namespace AgentFlow.ApiService.Sockets;

/// <summary>Reads whole text messages; <see cref="FrameGuard"/> bounds their size and number.</summary>
internal sealed class FrameReader(WebSocket socket)
{
    private readonly ArrayBufferWriter<byte> _message = new();

    /// <returns>The message, valid until the next read; null when the client closes, or is refused.</returns>
    /// <exception cref="WebSocketException">The connection is gone, or the text is not UTF-8.</exception>
    public async Task<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken ct)
    {
        _message.ResetWrittenCount();
        while (true)
        {
            var result = await socket.ReceiveAsync(_message.GetMemory(4_096), ct);
            if (result.MessageType == WebSocketMessageType.Close)
                return null;
            _message.Advance(result.Count);
            if (result.EndOfMessage)
                return _message.WrittenMemory;
        }
    }
}
