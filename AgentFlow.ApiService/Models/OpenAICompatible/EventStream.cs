using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text.Unicode;

namespace AgentFlow.ApiService.Models.OpenAICompatible;

/// <summary>
/// The data fields of a server-sent event stream, one value per event:
/// <code>
/// : comment
/// event: ignored
/// data: {"choices":[...]}
/// (empty line ends the event)
/// data: [DONE]
/// </code>
/// Lines end with LF, CRLF or CR wherever the network split them; a byte order mark is skipped. OpenAI writes one data line per event and
/// some servers leave out the empty line, so a data line is an event of its own.
/// </summary>
internal static class EventStream
{
    /// <summary>Holds some words: thousands of slow streams have one each.</summary>
    private const int FirstBuffer = 4 * 1024;

    /// <summary>For a stream that comes faster than it is read, which fills the first.</summary>
    private const int EnoughBuffer = 16 * 1024;

    /// <summary>Reads until the stream ends. An unfinished last line is not an event. Each value is UTF-8, and there only until the next is asked for.</summary>
    /// <exception cref="InvalidDataException">A line is longer than the limit, the stream is, or a line is not UTF-8.</exception>
    public static async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadDataAsync(
        Stream stream, int maxLineBytes, long maxStreamBytes, [EnumeratorCancellation] CancellationToken ct)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(FirstBuffer);
        try
        {
            var held = 0;
            var total = 0L;
            var atStart = true;
            var skipLineFeed = false;
            while (true)
            {
                var read = await stream.ReadAsync(buffer.AsMemory(held), ct);
                if (read == 0)
                    yield break;
                total += read;
                if (total > maxStreamBytes)
                    throw new InvalidDataException($"The stream is longer than {maxStreamBytes} bytes.");
                held += read;
                var start = 0;
                while (NextLine(buffer.AsSpan(start, held - start), ref skipLineFeed, out var line, out var consumed))
                {
                    if (DataOf(buffer.AsMemory(start + line.Start.Value, line.End.Value - line.Start.Value), ref atStart) is { } data)
                        yield return data;
                    start += consumed;
                }

                var isFull = held == buffer.Length;
                held -= start;
                buffer.AsSpan(start, held).CopyTo(buffer);
                if (held > maxLineBytes)
                    throw new InvalidDataException($"A line is longer than {maxLineBytes} bytes.");
                if (held == buffer.Length || (isFull && buffer.Length < EnoughBuffer))
                    buffer = Grow(buffer, held);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static bool NextLine(ReadOnlySpan<byte> bytes, ref bool skipLineFeed, out Range line, out int consumed)
    {
        var from = 0;
        if (skipLineFeed && bytes.Length > 0)
        {
            from = bytes[0] == (byte)'\n' ? 1 : 0;
            skipLineFeed = false;
        }

        var end = bytes[from..].IndexOfAny((byte)'\n', (byte)'\r');
        if (end < 0)
        {
            // A line feed that belonged to the line before must not be seen again.
            line = default;
            consumed = 0;
            skipLineFeed = from == 1;
            return false;
        }

        line = from..(from + end);
        consumed = from + end + 1;
        skipLineFeed = bytes[from + end] == (byte)'\r';
        return true;
    }

    private static ReadOnlyMemory<byte>? DataOf(ReadOnlyMemory<byte> line, ref bool atStart)
    {
        if (atStart && line.Span.StartsWith("\uFEFF"u8))
            line = line[3..];
        atStart = false;
        if (!line.Span.StartsWith("data:"u8))
            return null;
        line = line["data:"u8.Length..];
        if (line.Span.StartsWith(" "u8))
            line = line[1..];
        return Utf8.IsValid(line.Span) ? line : throw new InvalidDataException("A line is not UTF-8.");
    }

    private static byte[] Grow(byte[] buffer, int held)
    {
        var larger = ArrayPool<byte>.Shared.Rent(buffer.Length * 2);
        buffer.AsSpan(0, held).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer);
        return larger;
    }
}
