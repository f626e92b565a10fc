namespace AgentFlow.Retrieval.Text;

/// <summary>
/// What is known of words that were met lately, by their folded form: stemming and hashing cost more than looking up, and texts repeat their
/// words. Holds at most 32,768 words of up to 32 characters, about 8 MB; a newer word replaces the older one in its place. Thread-safe.
/// </summary>
internal static class KnownWords
{
    private const int Places = 1 << 15;
    private const int MaxLength = 32;

    private static readonly Word?[] Words = new Word?[Places];

    public static Word Of(ReadOnlySpan<char> term)
    {
        if (term.Length > MaxLength)
            return Word.Make(term);
        var place = Place(term);
        var known = Volatile.Read(ref Words[place]);
        if (known is not null && term.SequenceEqual(known.Term))
            return known;
        known = Word.Make(term);
        Volatile.Write(ref Words[place], known);
        return known;
    }

    private static int Place(ReadOnlySpan<char> term)
    {
        var hash = 14695981039346656037UL;
        foreach (var c in term)
            hash = (hash ^ c) * 1099511628211UL;
        return (int)((hash ^ (hash >> 32)) & (Places - 1));
    }
}

/// <summary>One folded word with everything that follows from it alone. Immutable.</summary>
internal sealed class Word
{
    private Word(string term, ReadOnlySpan<char> stem)
    {
        Term = term;
        Hash = Analyzer.Hash(stem);
        IsStop = StopWords.Contains(term);
        IsStopWithoutContraction = StopWords.Contains(Analyzer.WithoutContraction(term));
        Features = Embedding.WordFeatures.Of(stem);
    }

    public string Term { get; }

    /// <summary>Of the stem, as the index keeps it.</summary>
    public uint Hash { get; }

    public bool IsStop { get; }

    public bool IsStopWithoutContraction { get; }

    public Embedding.WordFeatures Features { get; }

    public static Word Make(ReadOnlySpan<char> term)
    {
        Span<char> buffer = stackalloc char[term.Length];
        return new Word(term.ToString(), Analyzer.Normalize(term, buffer));
    }
}
