using System.Text;

namespace AgentFlow.ApiService.Documents.Extraction.Encodings;

/// <summary>What is known of a text that is not UTF-8.</summary>
internal sealed record EncodingClues
{
    /// <summary>Lines with bytes outside ASCII, from the beginning on; the last may be cut.</summary>
    public required byte[] Lines { get; init; }

    /// <summary>How often each byte occurs in the whole text.</summary>
    public required long[] Counts { get; init; }

    /// <summary>The code page that the text says it is in, or null.</summary>
    public int? Declared { get; init; }
}

/// <summary>
/// Decides in which of the encodings that came before Unicode a text is: those in which its bytes are valid are compared by how much what
/// they make of it looks like a language that is written in them. One must be clearly ahead; a wrong text is worse than none.
/// </summary>
internal static class EncodingGuess
{
    /// <summary>More than a hundred to one.</summary>
    private const double ClearlyAhead = 5;

    /// <summary>What its own word for it is worth.</summary>
    private const double OfDeclaration = 20;

    /// <summary>A frequent word of the language; beyond some more say nothing new.</summary>
    private const double OfWord = 1;
    private const int MostWords = 15;

    /// <summary>How much likelier Windows-1252 is than its letters say: it is what such texts are in unless something speaks against it, which a few bytes can not.</summary>
    private const double OfWestern = 2;
    private const double OfWesternWhereFew = 8;
    private const int Few = 6;

    /// <summary>What a byte outside ASCII may cost at most in a text that is what it seems: about half of what it costs in a wrong encoding or none.</summary>
    private const double MostOfLatin = 8.5;
    private const double MostOfAlphabets = 5.2;
    private const double MostOfTwoBytes = 4.6;

    private sealed record Candidate(TextEncoding Of, string Text, double Cost, int OutsideAscii, bool IsPlausible);

    /// <returns>The encoding, or null where none is clearly ahead.</returns>
    public static Encoding? Decide(EncodingClues clues)
    {
        var words = Words(clues.Lines);
        var candidates = TextEncodings.All.Select(encoding => Judge(encoding, clues, words)).OfType<Candidate>().OrderBy(candidate => candidate.Cost).ToList();
        if (clues.Declared is { } page)
        {
            var declared = candidates.Find(candidate => candidate.Of.CodePage == page);
            if (declared is not null ? declared.Cost - OfDeclaration <= candidates[0].Cost : !TextEncodings.All.Any(known => known.CodePage == page) && IsValid(page, clues))
                return TextEncodings.Strict(page);
        }

        return ClearlyBest(candidates);
    }

    /// <summary>UTF-16 without a mark, for languages whose text holds few zero bytes. Null where it is not clearly that.</summary>
    /// <param name="beginning">Of the text, of an even length.</param>
    public static Encoding? DecideUtf16(byte[] beginning)
    {
        var clues = new EncodingClues { Lines = beginning, Counts = [] };
        return ClearlyBest([.. TextEncodings.Utf16Forms.Select(encoding => Judge(encoding, clues, [])).OfType<Candidate>().OrderBy(candidate => candidate.Cost)]);
    }

    private static Encoding? ClearlyBest(List<Candidate> candidates)
    {
        if (candidates.Count == 0 || !candidates[0].IsPlausible)
            return null;
        var allowed = candidates[0].OutsideAscii <= Few && candidates[0].Of.Languages[0].Script != Script.Latin ? OfWesternWhereFew : OfWestern;
        var western = candidates.Find(candidate => candidate.Of.CodePage == TextEncodings.Western && candidate.IsPlausible && candidate.Cost <= candidates[0].Cost + allowed);
        var best = western ?? candidates[0];
        var other = candidates.Find(candidate => candidate.Text != best.Text)?.Cost ?? double.PositiveInfinity;
        return western is not null || other - best.Cost >= ClearlyAhead ? best.Of.Encoding : null;
    }

    private static Candidate? Judge(TextEncoding encoding, EncodingClues clues, Dictionary<string, int> words)
    {
        if (clues.Lines.Length == 0 || (!encoding.IsMultiByte && !HasAll(encoding.Encoding, clues.Counts)) || Decode(encoding.Encoding, clues.Lines) is not { } text)
            return null;
        var (cost, language) = encoding.Languages.Select(language => (Cost: Plausibility.Cost(text, language, encoding.Encoding) - Bonus(language, words), language)).MinBy(judged => judged.Cost);
        var ascii = text.Count(char.IsAscii);
        var bytes = encoding.CodePage is TextEncodings.Utf16 or TextEncodings.Utf16BigEndian ? 2 * (text.Length - ascii) : clues.Lines.Length - ascii;

        // By bytes, of which every encoding makes something: characters of two bytes may cost twice as much.
        var perByte = (cost - (Plausibility.Ascii * ascii)) / Math.Max(1, bytes);
        return new Candidate(
            encoding,
            text,
            cost + encoding.Handicap,
            bytes,
            bytes > 0 && perByte <= (language.Script == Script.Latin ? MostOfLatin : encoding.IsMultiByte ? MostOfTwoBytes : MostOfAlphabets));
    }

    private static double Bonus(Language language, Dictionary<string, int> words) =>
        language.Script != Script.Latin ? 0 : OfWord * Math.Min(MostWords, language.Words.Sum(word => words.GetValueOrDefault(word)));

    /// <summary>Words of ASCII letters alone, with how often they stand in the sample.</summary>
    private static Dictionary<string, int> Words(ReadOnlySpan<byte> sample)
    {
        var words = new Dictionary<string, int>(StringComparer.Ordinal);
        var start = -1;
        for (var i = 0; i <= sample.Length; i++)
        {
            var isLetter = i < sample.Length && (char.IsAsciiLetter((char)sample[i]) || sample[i] >= 0x80);
            if (isLetter && start < 0)
                start = i;
            if (isLetter || start < 0)
                continue;
            if (i - start <= 8 && !sample[start..i].ContainsAnyInRange((byte)0x80, (byte)0xFF))
            {
                var word = Encoding.ASCII.GetString(sample[start..i]).ToLowerInvariant();
                words[word] = words.GetValueOrDefault(word) + 1;
            }

            start = -1;
        }

        return words;
    }

    /// <summary>Every byte that occurs anywhere means a character that text has.</summary>
    private static bool HasAll(Encoding encoding, long[] counts)
    {
        Span<byte> one = stackalloc byte[1];
        Span<char> character = stackalloc char[2];
        for (var value = 0x80; value <= 0xFF; value++)
        {
            if (counts[value] == 0)
                continue;
            one[0] = (byte)value;
            try
            {
                if (encoding.GetChars(one, character) != 1 || !Plausibility.IsPossible(character[0]))
                    return false;
            }
            catch (DecoderFallbackException)
            {
                return false;
            }
        }

        return true;
    }

    private static bool IsValid(int page, EncodingClues clues)
    {
        var encoding = TextEncodings.Strict(page);
        return (!encoding.IsSingleByte || HasAll(encoding, clues.Counts)) && (clues.Lines.Length == 0 || Decode(encoding, clues.Lines) is not null);
    }

    /// <summary>Null where a byte is not valid, or gives what no text has; a character that the end of the sample cuts is left out.</summary>
    private static string? Decode(Encoding encoding, byte[] sample)
    {
        try
        {
            var decoder = encoding.GetDecoder();
            var characters = new char[encoding.GetMaxCharCount(sample.Length)];
            var text = new string(characters, 0, decoder.GetChars(sample, characters, flush: false));
            return text.All(Plausibility.IsPossible) ? text : null;
        }
        catch (DecoderFallbackException)
        {
            return null;
        }
    }
}
