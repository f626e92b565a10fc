using System.Text;
using System.Text.Unicode;
using AgentFlow.ApiService.Documents.Extraction.Encodings;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// Finds the encoding of a text from all of its bytes: byte order mark, UTF-16 by its zero bytes, strict UTF-8, ISO-2022-JP by its escapes, else what
/// the text says of itself and what its letters look like (<see cref="EncodingGuess"/>). Of a page that was fetched, in the order of the HTML
/// standard: mark, what its server said, what the page says of itself, and then as for any text; a name that the bytes contradict is passed over. Fed in
/// parts; used once.
/// </summary>
/// <param name="fetchedAs">The charset that the server named for a fetched page, empty when it named none; null for what was not fetched.</param>
internal sealed class EncodingDetector(string? fetchedAs = null)
{
    /// <summary>Why a text failed whose encoding was found, and then did not hold.</summary>
    public const string NotAllOfIt = "Its text can not be decoded: some of its bytes are not of the encoding that the others are in. Save it as UTF-8 and upload it again.";

    private const byte Escape = 0x1B;

    private readonly EncodingSample sample = new();
    private readonly EncodingTrial? told = EncodingTrial.Of(string.IsNullOrEmpty(fetchedAs) ? null : TextEncodings.OfLabel(fetchedAs));
    private EncodingTrial? declared;
    private readonly byte[] carry = new byte[4];
    private readonly long[] counts = new long[256];
    private int carried;
    private bool validUtf8 = true;
    private bool afterEscape;
    private bool hasJapaneseEscape;
    private long total;
    private long zerosEven;
    private long zerosOdd;
    private long controls;

    public void Append(ReadOnlySpan<byte> bytes)
    {
        sample.Append(bytes);
        told?.Append(bytes);
        if (fetchedAs is not null)
            Declared(bytes);
        if (validUtf8)
            validUtf8 = ContinueUtf8(bytes);
        if (afterEscape || bytes.IndexOfAnyExceptInRange((byte)0x20, (byte)0x7E) >= 0)
            Count(bytes);
        total += bytes.Length;
    }

    /// <returns>An encoding that throws on what it can not decode, and the length of its byte order mark.</returns>
    /// <exception cref="ExtractionFailedException">No encoding fits.</exception>
    public (Encoding Encoding, int MarkLength) Finish()
    {
        var mark = FromMark(sample.Beginning[..Math.Min(4, sample.Beginning.Length)]);
        if (mark is { } marked)
            return marked;
        var zeros = zerosEven + zerosOdd;
        var isBinary = controls > total / 20;
        if ((told?.Finish() ?? declared?.Finish()) is { } named && !isBinary && (zeros == 0 || named is UnicodeEncoding))
            return (named, 0);
        if (zeros > total / 5)
        {
            if (total % 2 == 0 && zerosEven == 0)
                return (TextEncodings.Strict(TextEncodings.Utf16), 0);
            if (total % 2 == 0 && zerosOdd == 0)
                return (TextEncodings.Strict(TextEncodings.Utf16BigEndian), 0);
            throw NotText();
        }

        var isUtf8 = validUtf8 && carried == 0;
        if (zeros > 0 && total % 2 == 0 && (isBinary || !isUtf8) && EncodingGuess.DecideUtf16(sample.Even()) is { } utf16)
            return (utf16, 0);
        if (isBinary)
            throw NotText();
        if (isUtf8)
            return (hasJapaneseEscape ? TextEncodings.Strict(TextEncodings.Iso2022Jp) : new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true), 0);
        var clues = new EncodingClues { Lines = sample.Lines(), Counts = counts, Declared = DeclaredEncoding.Find(sample.Beginning) };
        return zeros == 0 && controls == 0 && EncodingGuess.Decide(clues) is { } found ? (found, 0) : throw new ExtractionFailedException(
            "Its text can not be decoded: it is neither UTF-8 nor UTF-16, and in no other encoding that could be told for certain. Save it as UTF-8 and upload it again.");
    }

    /// <summary>The beginning says it, and is there from the first bytes on; what has no letters outside ASCII needs no name.</summary>
    private void Declared(ReadOnlySpan<byte> bytes)
    {
        if (total == 0 && DeclaredEncoding.Find(bytes) is { } page)
            declared = EncodingTrial.Of(TextEncodings.Strict(page));
        declared?.Append(bytes);
    }

    private static ExtractionFailedException NotText() => new("It holds binary data, not text, so it can not be decoded.");

    private static (Encoding Encoding, int MarkLength)? FromMark(ReadOnlySpan<byte> head)
    {
        if (head.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]))
            return (new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true), 3);
        if (head.SequenceEqual((ReadOnlySpan<byte>)[0xFF, 0xFE, 0, 0]))
            return (new UTF32Encoding(bigEndian: false, byteOrderMark: false, throwOnInvalidCharacters: true), 4);
        if (head.SequenceEqual((ReadOnlySpan<byte>)[0, 0, 0xFE, 0xFF]))
            return (new UTF32Encoding(bigEndian: true, byteOrderMark: false, throwOnInvalidCharacters: true), 4);
        if (head.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xFE]))
            return (new UnicodeEncoding(bigEndian: false, byteOrderMark: false, throwOnInvalidBytes: true), 2);
        if (head.StartsWith((ReadOnlySpan<byte>)[0xFE, 0xFF]))
            return (new UnicodeEncoding(bigEndian: true, byteOrderMark: false, throwOnInvalidBytes: true), 2);
        return null;
    }

    private bool ContinueUtf8(ReadOnlySpan<byte> bytes)
    {
        while (carried > 0 && bytes.Length > 0)
        {
            if (carried == carry.Length)
                return false;
            carry[carried++] = bytes[0];
            bytes = bytes[1..];
            if (IncompleteTail(carry.AsSpan(0, carried)) == carried)
                continue;
            if (!Utf8.IsValid(carry.AsSpan(0, carried)))
                return false;
            carried = 0;
        }

        var tail = IncompleteTail(bytes);
        if (tail > 0)
        {
            bytes[^tail..].CopyTo(carry);
            carried = tail;
            bytes = bytes[..^tail];
        }

        return Utf8.IsValid(bytes);
    }

    /// <summary>How many bytes at the end begin a sequence that is not complete, 0 to 3.</summary>
    private static int IncompleteTail(ReadOnlySpan<byte> bytes)
    {
        for (var back = 1; back <= Math.Min(3, bytes.Length); back++)
        {
            var value = bytes[^back];
            if ((value & 0xC0) == 0x80)
                continue;
            var length = value >= 0xF0 ? 4 : value >= 0xE0 ? 3 : value >= 0xC0 ? 2 : 1;
            return length > back ? back : 0;
        }

        return 0;
    }

    private void Count(ReadOnlySpan<byte> bytes)
    {
        for (var i = 0; i < bytes.Length; i++)
        {
            var value = bytes[i];
            counts[value]++;
            if (value == 0)
            {
                if (((total + i) & 1) == 0)
                    zerosEven++;
                else
                    zerosOdd++;
            }
            else if (value < 0x20 && value is not ((byte)'\t' or (byte)'\n' or (byte)'\r' or 0x08 or 0x0B or 0x0C or Escape))
            {
                controls++;
            }

            // ESC $ B and ESC $ @ begin two-byte characters in ISO-2022-JP, which is ASCII otherwise.
            hasJapaneseEscape |= afterEscape && value == (byte)'$';
            afterEscape = value == Escape;
        }
    }
}
