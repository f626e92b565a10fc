using System.Buffers.Binary;
using System.Text;

namespace AgentFlow.ApiService.Sockets;

/// <summary>
/// The connection under a WebSocket, read through <see cref="FrameRules"/>: the framework's own reader takes frames that are not masked,
/// answers any number of pings, and waits for a payload of 2^62 bytes. What the rules refuse is not passed on: in its place comes a close
/// frame with the reason, as if the client had left with it, so that the socket ends in the one way in which all of them end.
/// Bytes are copied once, 4 KiB at a time.
/// </summary>
internal sealed partial class FrameGuard(Stream inner, SocketOptions options, TimeProvider time, ILogger logger) : Stream
{
    /// <summary>How long a client that was refused is listened to: cut off at once, it might never read the reason.</summary>
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(1);

    private const int ReadSize = 4_096;
    private const int LongestClose = 6 + 125;

    private readonly FrameRules _rules = new(options, time);
    private readonly byte[] _buffer = new byte[ReadSize + LongestClose];

    // Read are the bytes from _start to _end; checked, and free to go, are the first _checked of them.
    private int _start;
    private int _end;
    private int _checked;
    private long _payload;
    private bool _isRefused;
    private bool _isOver;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_checked == 0)
        {
            if (_isRefused || _isOver || !await FillAsync(cancellationToken))
                return 0;
            Check();
        }

        var count = Math.Min(buffer.Length, _checked);
        _buffer.AsSpan(_start, count).CopyTo(buffer.Span);
        _start += count;
        _checked -= count;
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => inner.WriteAsync(buffer, cancellationToken);

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        inner.WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    /// <summary>Reads away what still comes, for at most a second, unless both sides have said that they go.</summary>
    public async Task DrainAsync(CancellationToken aborted)
    {
        if (_isOver || _rules.IsClosing)
            return;
        using var limit = new CancellationTokenSource(DrainTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, aborted);
        try
        {
            while (await inner.ReadAsync(_buffer, either.Token) > 0)
            {
            }
        }
        catch (Exception gone) when (gone is OperationCanceledException or IOException)
        {
            LogCut(logger, gone.Message);
        }
    }

    private async ValueTask<bool> FillAsync(CancellationToken ct)
    {
        _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
        (_start, _end) = (0, _end - _start);
        var count = await inner.ReadAsync(_buffer.AsMemory(_end, ReadSize - _end), ct);
        _end += count;
        _isOver = count == 0;
        return count > 0;
    }

    private void Check()
    {
        while (_start + _checked < _end)
        {
            var bytes = _buffer.AsSpan(_start + _checked, _end - _start - _checked);
            if (_payload > 0)
            {
                var count = (int)Math.Min(_payload, bytes.Length);
                (_checked, _payload) = (_checked + count, _payload - count);
                continue;
            }

            var header = FrameRules.HeaderLength(bytes);
            if (header == 0 || header > bytes.Length)
                return;
            if (_rules.Check(bytes[..header], out _payload) is { } refusal)
            {
                Refuse(refusal);
                return;
            }

            _checked += header;
        }
    }

    /// <summary>All that was good goes, then the close, for which room is kept.</summary>
    private void Refuse(SocketRefusal refusal)
    {
        LogRefused(logger, refusal.Reason);
        var close = CloseFrame(refusal);
        _buffer.AsSpan(_start, _checked).CopyTo(_buffer);
        close.CopyTo(_buffer.AsSpan(_checked));
        _checked += close.Length;
        (_start, _end, _isRefused) = (0, _checked, true);
    }

    /// <summary>With a mask of zeros, as a client's frame must have one.</summary>
    private static byte[] CloseFrame(SocketRefusal refusal)
    {
        var reason = Encoding.UTF8.GetBytes(refusal.Reason);
        var frame = new byte[8 + reason.Length];
        frame[0] = 0x80 | (int)WebSocketOpcode.Close;
        frame[1] = (byte)(0x80 | (sizeof(ushort) + reason.Length));
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(6), (ushort)refusal.Status);
        reason.CopyTo(frame, 8);
        return frame;
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "A socket's frames are refused: {Reason}")]
    private static partial void LogRefused(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "A refused client was left: {Why}")]
    private static partial void LogCut(ILogger logger, string why);
}
