using System.Runtime.CompilerServices;
using System.Text;
using AgentFlow.Retrieval.Chunking;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>A stretch of a document's text; the stored text is all windows in order, nothing between them.</summary>
/// <param name="Text">As it is stored: UTF-16, no U+0000, lines end with LF.</param>
/// <param name="Format">How structure is read from the text where there are no blocks.</param>
/// <param name="Blocks">The structure that the format itself carried, by offsets into this window; null for plain text formats.</param>
/// <param name="Progress">0 to 1: how much of the original is read.</param>
internal sealed record TextWindow(string Text, TextFormat Format, IReadOnlyList<TextBlock>? Blocks, double Progress)
{
    /// <summary>Known once the last window is out.</summary>
    public DocumentInfo? Info { get; init; }
}

/// <summary>What a document says of itself.</summary>
/// <param name="Title">Its title, at most 300 characters.</param>
/// <param name="Pages">Where the format has pages.</param>
/// <param name="Metadata">Author, dates and the like, by name.</param>
internal sealed record DocumentInfo(string? Title = null, int? Pages = null, IReadOnlyDictionary<string, string>? Metadata = null);

/// <summary>Reads plain text formats in windows, so that memory does not grow with the file.</summary>
internal static class TextWindows
{
    /// <summary>UTF-16 units after which a window is closed at the next good place. About 200 chunks: one round trip each.</summary>
    public const int Target = 256 * 1024;

    /// <param name="read">Gives the original's bytes from the start; called twice, first to find the encoding.</param>
    /// <param name="size">Bytes of the original.</param>
    /// <param name="format">How the text is read.</param>
    /// <param name="fetchedAs">See <see cref="EncodingDetector"/>.</param>
    /// <param name="ct">Ends the reading.</param>
    /// <exception cref="ExtractionFailedException">The bytes are not text.</exception>
    public static async IAsyncEnumerable<TextWindow> ReadAsync(
        Func<IAsyncEnumerable<ReadOnlyMemory<byte>>> read, long size, TextFormat format, string? fetchedAs, [EnumeratorCancellation] CancellationToken ct)
    {
        var detector = new EncodingDetector(fetchedAs);
        await foreach (var bytes in read().WithCancellation(ct))
            detector.Append(bytes.Span);
        var (encoding, skip) = detector.Finish();
        var decoder = encoding.GetDecoder();
        var cutter = new WindowCutter(format);
        var characters = Array.Empty<char>();
        long done = 0;
        await foreach (var part in read().WithCancellation(ct))
        {
            done += part.Length;
            var bytes = part[Math.Min(skip, part.Length)..];
            skip -= part.Length - bytes.Length;
            characters = Decode(decoder, bytes.Span, ref characters, flush: done >= size, out var count);
            cutter.Append(characters.AsSpan(0, count));
            while (cutter.TryCut(out var window))
                yield return new TextWindow(window, format, null, done / (double)size);
        }

        foreach (var window in cutter.Finish())
            yield return new TextWindow(window, format, null, 1);
    }

    private static char[] Decode(Decoder decoder, ReadOnlySpan<byte> bytes, ref char[] characters, bool flush, out int count)
    {
        try
        {
            var needed = decoder.GetCharCount(bytes, flush);
            if (characters.Length < needed)
                characters = new char[needed];
            count = decoder.GetChars(bytes, characters, flush);
            return characters;
        }
        catch (DecoderFallbackException)
        {
            throw new ExtractionFailedException(EncodingDetector.NotAllOfIt);
        }
    }
}

/// <summary>Collects characters, cleans them, and cuts windows between paragraphs and never inside a fenced block of code or a word.</summary>
internal sealed class WindowCutter(TextFormat format)
{
    /// <summary>A window without any paragraph, line or word end is cut here at the latest.</summary>
    private const int Limit = TextWindows.Target * 4;

    private readonly StringBuilder text = new();
    private bool afterCarriageReturn;
    private bool insideFence;
    private int scanned;
    private int lineStart;
    private int paragraphCut;
    private int lineCut;

    public void Append(ReadOnlySpan<char> characters)
    {
        while (characters.Length > 0)
        {
            var special = characters.IndexOfAny('\r', '\0', '\n');
            var plain = special < 0 ? characters : characters[..special];
            if (plain.Length > 0)
            {
                text.Append(plain);
                afterCarriageReturn = false;
            }

            if (special < 0)
                return;
            var character = characters[special];
            if (character == '\r' || (character == '\n' && !afterCarriageReturn))
                text.Append('\n');
            if (character != '\0')
                afterCarriageReturn = character == '\r';
            characters = characters[(special + 1)..];
        }
    }

    public bool TryCut(out string window)
    {
        window = string.Empty;
        if (text.Length < TextWindows.Target)
            return false;
        Scan();
        var cut = paragraphCut > 0 ? paragraphCut : text.Length < Limit ? 0 : lineCut > 0 ? lineCut : WordCut();
        if (cut == 0)
            return false;
        window = text.ToString(0, cut);
        text.Remove(0, cut);
        scanned = Math.Max(0, scanned - cut);
        lineStart = Math.Max(0, lineStart - cut);
        (paragraphCut, lineCut) = (0, 0);
        return true;
    }

    public IEnumerable<string> Finish()
    {
        while (TryCut(out var window))
            yield return window;
        if (text.Length > 0)
            yield return text.ToString();
    }

    /// <summary>Goes on line by line and remembers the last good places, the latest before the target and the first after it.</summary>
    private void Scan()
    {
        if (scanned == text.Length)
            return;
        var tail = text.ToString(lineStart, text.Length - lineStart);
        var start = 0;
        while (true)
        {
            var end = tail.IndexOf('\n', start);
            if (end < 0)
                break;
            var line = tail.AsSpan(start, end - start);
            var after = lineStart + end + 1;
            if (format == TextFormat.Markdown && (line.TrimStart(' ').StartsWith("```") || line.TrimStart(' ').StartsWith("~~~")))
                insideFence = !insideFence;
            var isLate = after > TextWindows.Target;
            lineCut = isLate && lineCut > 0 ? lineCut : after;
            if (line.IsWhiteSpace() && !insideFence)
                paragraphCut = isLate && paragraphCut > 0 ? paragraphCut : after;
            start = end + 1;
        }

        lineStart += start;
        scanned = text.Length;
    }

    private int WordCut()
    {
        for (var i = Limit - 1; i > Limit - 10_000; i--)
        {
            if (char.IsWhiteSpace(text[i]))
                return i + 1;
        }

        return char.IsHighSurrogate(text[Limit - 1]) ? Limit - 1 : Limit;
    }
}
