using System.Text;

namespace AgentFlow.ApiService.Documents.Extraction;

/// <summary>
/// Comma-separated values (RFC 4180; also with semicolons, tabs or bars): each record becomes a row whose values carry their column's name,
/// so that a passage in the middle of the file still says what its numbers are.
/// </summary>
internal static class CsvReader
{
    private const int MaxColumns = 1_000;
    private const int MaxFieldCharacters = 1_000_000;

    /// <param name="fetchedAs">See <see cref="EncodingDetector"/>.</param>
    public static void Read(Stream content, BlockWriter writer, string? fetchedAs = null)
    {
        using var text = DecodedText.Open(content, fetchedAs: fetchedAs);
        var delimiter = Delimiter(text);
        string[]? names = null;
        foreach (var record in Records(text, delimiter))
        {
            writer.Progress = content.Length == 0 ? 1 : (double)content.Position / content.Length;
            if (names is null)
            {
                names = IsHeader(record) ? [.. record] : [];
                if (names.Length > 0)
                {
                    writer.TableRow(names);
                    continue;
                }
            }

            writer.TableRow(names.Length == 0
                ? record
                : record.Select((value, i) => value.Length > 0 && i < names.Length && names[i].Length > 0 ? $"{names[i]}: {value}" : value));
        }

        writer.Finish(new DocumentInfo());
    }

    private static bool IsHeader(List<string> record) =>
        record.Count > 1 && record.TrueForAll(name => name.Length is > 0 and <= 100 && !name.All(c => char.IsDigit(c) || c is '.' or ',' or '-'));

    /// <summary>The candidate that the first line holds most often, outside quotes.</summary>
    private static char Delimiter(DecodedText text)
    {
        var line = text.PeekLine();
        var counts = new Dictionary<char, int> { [','] = 0, [';'] = 0, ['\t'] = 0, ['|'] = 0 };
        var quoted = false;
        foreach (var character in line)
        {
            if (character == '"')
                quoted = !quoted;
            else if (!quoted && counts.TryGetValue(character, out var count))
                counts[character] = count + 1;
        }

        var best = counts.MaxBy(pair => pair.Value);
        return best.Value > 0 ? best.Key : ',';
    }

    private static IEnumerable<List<string>> Records(DecodedText text, char delimiter)
    {
        var record = new List<string>();
        var field = new StringBuilder();
        var (quoted, wasQuoted) = (false, false);
        while (text.Read() is >= 0 and var code)
        {
            var character = (char)code;
            if (quoted)
            {
                if (character != '"')
                    field.Append(character);
                else if (text.Peek() == '"')
                    field.Append((char)text.Read());
                else
                    quoted = false;
                if (field.Length > MaxFieldCharacters)
                    throw new ExtractionFailedException($"One of its fields has more than {MaxFieldCharacters:N0} characters; a quote may be missing.");
            }
            else if (character == '"' && field.Length == 0 && !wasQuoted)
            {
                (quoted, wasQuoted) = (true, true);
            }
            else if (character == delimiter)
            {
                EndField();
            }
            else if (character is '\n')
            {
                EndField();
                yield return record;
                record = [];
            }
            else if (character != '\r')
            {
                field.Append(character);
            }
        }

        if (field.Length > 0 || record.Count > 0)
        {
            EndField();
            yield return record;
        }

        void EndField()
        {
            if (record.Count < MaxColumns)
                record.Add(field.ToString().Trim());
            field.Clear();
            wasQuoted = false;
        }
    }
}

/// <summary>A text file with its encoding found; one character at a time.</summary>
internal sealed class DecodedText : IDisposable
{
    private readonly StreamReader reader;
    private string ahead = string.Empty;
    private int position;

    private DecodedText(StreamReader reader) => this.reader = reader;

    /// <exception cref="ExtractionFailedException">It is not text.</exception>
    public static DecodedText Open(Stream content, bool leaveOpen = false, string? fetchedAs = null)
    {
        var detector = new EncodingDetector(fetchedAs);
        var buffer = new byte[64 * 1024];
        while (content.Read(buffer) is > 0 and var count)
            detector.Append(buffer.AsSpan(0, count));
        var (encoding, mark) = detector.Finish();
        content.Position = mark;
        return new DecodedText(new StreamReader(content, encoding, detectEncodingFromByteOrderMarks: false, leaveOpen: leaveOpen));
    }

    /// <summary>The first line, without taking it; at most 64 Ki characters.</summary>
    public string PeekLine()
    {
        var buffer = new char[64 * 1024];
        ahead = new string(buffer, 0, reader.ReadBlock(buffer));
        var end = ahead.IndexOf('\n', StringComparison.Ordinal);
        return end < 0 ? ahead : ahead[..end];
    }

    public string? ReadLine() => reader.ReadLine();

    /// <summary>Takes white space; true when nothing else is left.</summary>
    public bool EndsAfterWhiteSpace()
    {
        while (reader.Peek() is >= 0 and var next && char.IsWhiteSpace((char)next))
            _ = reader.Read();
        return reader.Peek() < 0;
    }

    /// <summary>The given line, and those that follow.</summary>
    public IEnumerable<string> Rest(string first)
    {
        for (var line = first; line is not null; line = reader.ReadLine())
            yield return line;
    }

    public int Read() => position < ahead.Length ? ahead[position++] : reader.Read();

    public int Peek() => position < ahead.Length ? ahead[position] : reader.Peek();

    public string ReadToEnd() => ahead[position..] + reader.ReadToEnd();

    public void Dispose() => reader.Dispose();
}
