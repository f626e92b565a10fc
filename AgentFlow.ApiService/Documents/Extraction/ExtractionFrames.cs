using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Text.Json;
using AgentFlow.Retrieval.Chunking;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// How a parsing process hands over what it reads: frames of a kind (one byte: W a window, E the reason of a failure, Z the end), a
/// length (four bytes, little-endian) and JSON. The reader trusts none of it: lengths, offsets and order are checked.
/// </summary>
internal static class ExtractionFrames
{
    private const byte WindowFrame = (byte)'W';
    private const byte ErrorFrame = (byte)'E';
    private const byte EndFrame = (byte)'Z';
    private const int MaxFrameBytes = 64 * 1024 * 1024;

    private sealed record WindowData(string Text, int[] Blocks, double Progress, string? Title, int? Pages, Dictionary<string, string>? Metadata);

    public static void WriteWindow(Stream output, TextWindow window)
    {
        var blocks = (window.Blocks ?? []).SelectMany(block => (int[])[(int)block.Kind, block.Start, block.End, block.Level, block.Page ?? 0]).ToArray();
        var metadata = window.Info?.Metadata?.ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
        Write(output, WindowFrame, new WindowData(window.Text, blocks, window.Progress, window.Info?.Title, window.Info?.Pages, metadata));
    }

    public static void WriteError(Stream output, string reason) => Write(output, ErrorFrame, reason);

    public static void WriteEnd(Stream output) => Write(output, EndFrame, true);

    /// <summary>The windows up to the end frame.</summary>
    /// <exception cref="ExtractionFailedException">The process says that the document can not be read.</exception>
    /// <exception cref="InvalidDataException">The process ended early or wrote something else.</exception>
    public static async IAsyncEnumerable<TextWindow> ReadAsync(Stream input, [EnumeratorCancellation] CancellationToken ct)
    {
        var header = new byte[5];
        while (true)
        {
            if (await input.ReadAtLeastAsync(header, header.Length, throwOnEndOfStream: false, ct) < header.Length)
                throw new InvalidDataException("The parser ended early.");
            var length = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(1));
            if (length is < 0 or > MaxFrameBytes)
                throw new InvalidDataException("The parser wrote a frame that is too large.");
            var payload = new byte[length];
            await input.ReadExactlyAsync(payload, ct);
            switch (header[0])
            {
                case WindowFrame:
                    yield return ToWindow(JsonSerializer.Deserialize<WindowData>(payload) ?? throw new InvalidDataException("The parser wrote an empty window."));
                    break;
                case ErrorFrame:
                    throw new ExtractionFailedException(JsonSerializer.Deserialize<string>(payload) ?? "It can not be read.");
                case EndFrame:
                    yield break;
                default:
                    throw new InvalidDataException("The parser wrote an unknown frame.");
            }
        }
    }

    private static TextWindow ToWindow(WindowData data)
    {
        var blocks = new List<TextBlock>(data.Blocks.Length / 5);
        var last = 0;
        foreach (var block in data.Blocks.Chunk(5))
        {
            if (block.Length < 5 || block[1] < last || block[2] < block[1] || block[2] > data.Text.Length || !Enum.IsDefined((BlockKind)block[0]))
                throw new InvalidDataException("The parser wrote blocks that do not fit its text.");
            last = block[2];
            blocks.Add(new TextBlock((BlockKind)block[0], block[1], block[2], block[3], block[4] > 0 ? block[4] : null));
        }

        var info = data.Title is null && data.Pages is null && data.Metadata is null ? null : new DocumentInfo(data.Title, data.Pages, data.Metadata);
        return new TextWindow(data.Text, TextFormat.Plain, blocks, Math.Clamp(data.Progress, 0, 1)) { Info = info };
    }

    private static void Write<T>(Stream output, byte kind, T value)
    {
        var payload = JsonSerializer.SerializeToUtf8Bytes(value);
        Span<byte> header = stackalloc byte[5];
        header[0] = kind;
        BinaryPrimitives.WriteInt32LittleEndian(header[1..], payload.Length);
        output.Write(header);
        output.Write(payload);
        output.Flush();
    }
}
