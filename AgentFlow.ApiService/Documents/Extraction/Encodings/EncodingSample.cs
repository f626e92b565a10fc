namespace AgentFlow.ApiService.Documents.Extraction.Encodings;

/// <summary>Keeps what an encoding is judged by, whatever the size of the text: its beginning, and the first lines that are not only ASCII. Fed in parts.</summary>
internal sealed class EncodingSample
{
    private const int MostOfBeginning = 16 * 1024;
    private const int MostOfLines = 32 * 1024;

    private readonly List<byte> beginning = [];
    private readonly List<byte> lines = [];
    private readonly List<byte> line = [];

    public ReadOnlySpan<byte> Beginning => System.Runtime.InteropServices.CollectionsMarshal.AsSpan(beginning);

    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (beginning.Count < MostOfBeginning)
            beginning.AddRange(bytes[..Math.Min(bytes.Length, MostOfBeginning - beginning.Count)]);
        while (bytes.Length > 0 && lines.Count < MostOfLines)
        {
            var end = bytes.IndexOf((byte)'\n');
            var part = end < 0 ? bytes : bytes[..(end + 1)];

            // A line that is longer than all that is kept is cut, and nothing comes behind it: only the end of the sample may be inside a character.
            line.AddRange(part[..Math.Min(part.Length, MostOfLines - Math.Min(MostOfLines, line.Count))]);
            if (end >= 0 || line.Count >= MostOfLines)
                EndLine();
            bytes = bytes[part.Length..];
        }
    }

    /// <summary>The beginning, of an even length.</summary>
    public byte[] Even() => Beginning[..(beginning.Count & ~1)].ToArray();

    /// <summary>Once all is fed.</summary>
    public byte[] Lines()
    {
        EndLine();
        return [.. lines];
    }

    private void EndLine()
    {
        if (System.Runtime.InteropServices.CollectionsMarshal.AsSpan(line).ContainsAnyInRange((byte)0x80, (byte)0xFF))
            lines.AddRange(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(line)[..Math.Min(line.Count, MostOfLines - lines.Count)]);
        line.Clear();
    }
}
