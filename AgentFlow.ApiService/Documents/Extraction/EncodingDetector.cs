using System.Text;
using System.Text.Unicode;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// Finds the encoding of a text from all of its bytes: byte order mark, strict UTF-8, UTF-16 without a mark (zero bytes on every other
/// place), else Windows-1252 where its accented letters stand among ASCII letters as they do in text. Fed in parts; used once.
/// </summary>
internal sealed class EncodingDetector
{
    private static readonly Encoding Windows1252 =
        CodePagesEncodingProvider.Instance.GetEncoding(1252, EncoderFallback.ExceptionFallback, DecoderFallback.ExceptionFallback)
        ?? throw new PlatformNotSupportedException("The runtime lacks code page 1252.");

    private readonly byte[] head = new byte[4];
    private readonly byte[] carry = new byte[4];
    private int carried;
    private bool validUtf8 = true;
    private bool plausible1252 = true;
    private bool previousIsLetter;
    private long total;
    private long zerosEven;
    private long zerosOdd;
    private long controls;
    private long high;
    private long highBesideLetters;

    public void Append(ReadOnlySpan<byte> bytes)
    {
        for (var i = 0; i < bytes.Length && total + i < head.Length; i++)
            head[total + i] = bytes[i];
        if (validUtf8)
            validUtf8 = ContinueUtf8(bytes);
        if (bytes.IndexOfAnyExceptInRange((byte)0x20, (byte)0x7E) >= 0)
            Count(bytes);
        else if (bytes.Length > 0)
            previousIsLetter = char.IsAsciiLetter((char)bytes[^1]);
        total += bytes.Length;
    }

    /// <returns>An encoding that throws on what it can not decode, and the length of its byte order mark.</returns>
    /// <exception cref="ExtractionFailedException">No encoding fits.</exception>
    public (Encoding Encoding, int MarkLength) Finish()
    {
        var mark = FromMark(head.AsSpan(0, (int)Math.Min(total, head.Length)));
        if (mark is { } marked)
            return marked;
        var zeros = zerosEven + zerosOdd;
        if (zeros > total / 5)
        {
            if (total % 2 == 0 && zerosEven == 0)
                return (new UnicodeEncoding(bigEndian: false, byteOrderMark: false, throwOnInvalidBytes: true), 0);
            if (total % 2 == 0 && zerosOdd == 0)
                return (new UnicodeEncoding(bigEndian: true, byteOrderMark: false, throwOnInvalidBytes: true), 0);
            throw NotText();
        }

        if (controls > total / 20)
            throw NotText();
        if (validUtf8 && carried == 0)
            return (new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true), 0);
        if (plausible1252 && zeros == 0 && controls == 0 && high <= total / 3 && highBesideLetters >= high / 2)
            return (Windows1252, 0);
        throw new ExtractionFailedException("Its text can not be decoded: it is neither UTF-8 nor UTF-16 nor Windows-1252. Save it as UTF-8 and upload it again.");
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
            var nextIsLetter = i + 1 < bytes.Length && char.IsAsciiLetter((char)bytes[i + 1]);
            if (value == 0)
            {
                if (((total + i) & 1) == 0)
                    zerosEven++;
                else
                    zerosOdd++;
            }
            else if (value < 0x20 && value is not ((byte)'\t' or (byte)'\n' or (byte)'\r' or 0x08 or 0x0B or 0x0C or 0x1B))
            {
                controls++;
            }
            else if (value >= 0x80)
            {
                high++;
                if (previousIsLetter || nextIsLetter)
                    highBesideLetters++;

                // Undefined in Windows-1252, or y with diaeresis, which text in it hardly ever has and binary data often.
                if (value is 0x81 or 0x8D or 0x8F or 0x90 or 0x9D or 0xFF)
                    plausible1252 = false;
            }

            previousIsLetter = char.IsAsciiLetter((char)value);
        }
    }
}
