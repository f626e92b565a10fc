using System.Text;

namespace AgentFlow.ApiService.Documents.Extraction.Encodings;

/// <summary>Whether all bytes of a text are of an encoding that somebody named. Fed in parts; used once.</summary>
internal sealed class EncodingTrial
{
    private readonly Encoding encoding;
    private readonly Decoder decoder;
    private char[] characters = [];
    private bool holds = true;

    private EncodingTrial(Encoding encoding) => (this.encoding, decoder) = (encoding, encoding.GetDecoder());

    /// <param name="encoding">One that throws on bytes that it does not know; null when none is known by the name.</param>
    public static EncodingTrial? Of(Encoding? encoding) => encoding is null ? null : new EncodingTrial(encoding);

    public void Append(ReadOnlySpan<byte> bytes) => Take(bytes, flush: false);

    /// <returns>Null: some bytes are of another one.</returns>
    public Encoding? Finish()
    {
        Take([], flush: true);
        return holds ? encoding : null;
    }

    private void Take(ReadOnlySpan<byte> bytes, bool flush)
    {
        if (!holds)
            return;
        try
        {
            var most = encoding.GetMaxCharCount(bytes.Length);
            if (characters.Length < most)
                characters = new char[most];
            decoder.GetChars(bytes, characters, flush);
        }
        catch (DecoderFallbackException)
        {
            holds = false;
        }
    }
}
