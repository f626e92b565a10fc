using System.Runtime.InteropServices;

namespace AgentFlow.Retrieval.Text;

/// <summary>How often a term occurs in a text.</summary>
/// <param name="Term">32-bit hash of the stem; the same in both indexes.</param>
public readonly record struct TermCount(uint Term, ushort Count);

/// <summary>The terms of a text as BM25 counts them.</summary>
/// <param name="Terms">Each term once, by ascending hash.</param>
/// <param name="Length">Number of words, identifiers counted once and stop words not at all.</param>
public sealed record TermVector(IReadOnlyList<TermCount> Terms, int Length);

/// <summary>Text to terms: tokens, stemmed and hashed. Pure and thread-safe.</summary>
public static class Analyzer
{
    /// <summary>Clearing a dictionary that once was large takes as long as it was large.</summary>
    private const int MaxKeptTerms = 256;

    [ThreadStatic]
    private static Dictionary<uint, ushort>? _counts;

    /// <summary>All terms of a stored text, stop words included.</summary>
    public static TermVector Index(ReadOnlySpan<char> text)
    {
        // A dictionary for each text was most of what loading an owner allocated beside the vectors.
        var counts = _counts ??= [];
        counts.Clear();
        var counter = new Counter(counts);
        Tokenizer.Visit(text, ref counter);
        var terms = Sorted(counts);
        if (counts.Count > MaxKeptTerms)
            _counts = null;
        return new TermVector(terms, counter.Length);
    }

    /// <summary>As whole numbers, term before count: they sort several times as fast as by a comparison.</summary>
    private static TermCount[] Sorted(Dictionary<uint, ushort> counts)
    {
        Span<ulong> packed = counts.Count <= MaxKeptTerms ? stackalloc ulong[counts.Count] : new ulong[counts.Count];
        var i = 0;
        foreach (var (term, count) in counts)
            packed[i++] = ((ulong)term << 16) | count;
        packed.Sort();
        var terms = new TermCount[packed.Length];
        for (i = 0; i < terms.Length; i++)
            terms[i] = new TermCount((uint)(packed[i] >> 16), (ushort)packed[i]);
        return terms;
    }

    /// <summary>The distinct terms of a query without stop words, unless it consists of nothing else.</summary>
    public static IReadOnlyList<uint> Query(ReadOnlySpan<char> text)
    {
        var reader = new QueryReader([], []);
        Tokenizer.Visit(text, ref reader);
        return reader.Terms.Count > 0 ? reader.Terms : reader.Stopped;
    }

    /// <summary>The stem of one folded token, as it is indexed.</summary>
    /// <param name="term">A token's folded text.</param>
    /// <param name="buffer">At least as long as the term.</param>
    internal static ReadOnlySpan<char> Normalize(ReadOnlySpan<char> term, Span<char> buffer)
    {
        var length = 0;
        var isAscii = true;
        foreach (var c in WithoutContraction(term))
        {
            isAscii &= c is >= 'a' and <= 'z';
            if (c != '\'')
                buffer[length++] = c;
            else
                isAscii = true;
        }

        var word = buffer[..length];
        if (isAscii && word.IndexOfAnyExceptInRange('a', 'z') < 0)
            length = EnglishStemmer.Stem(word);
        return buffer[..length];
    }

    /// <summary>FNV-1a over UTF-16 units with a final mix; stable for ever, since stored sparse vectors depend on it.</summary>
    internal static uint Hash(ReadOnlySpan<char> term)
    {
        var hash = 14695981039346656037UL;
        foreach (var c in term)
            hash = (hash ^ c) * 1099511628211UL;
        hash ^= hash >> 32;
        hash *= 0xD6E8FEB86659FD93UL;
        return (uint)(hash >> 32);
    }

    /// <summary>Turns <c>she's</c>, <c>don't</c>, <c>we'll</c> into the word before the contraction.</summary>
    internal static ReadOnlySpan<char> WithoutContraction(ReadOnlySpan<char> term)
    {
        var apostrophe = term.LastIndexOf('\'');
        if (apostrophe <= 0)
            return term;
        return term[(apostrophe + 1)..] switch
        {
            "s" or "ll" or "re" or "ve" or "d" or "m" => term[..apostrophe],
            "t" when term[apostrophe - 1] == 'n' && apostrophe > 1 => term[..(apostrophe - 1)],
            _ => term,
        };
    }

    private struct Counter(Dictionary<uint, ushort> counts) : ITokenVisitor
    {
        public readonly Dictionary<uint, ushort> Counts => counts;

        public int Length { get; private set; }

        public void Visit(scoped ReadOnlySpan<char> term, int start, int end, TokenKind kind)
        {
            if (term.IsEmpty)
                return;
            var word = KnownWords.Of(term);
            ref var count = ref CollectionsMarshal.GetValueRefOrAddDefault(counts, word.Hash, out _);
            if (count < ushort.MaxValue)
                count++;
            if (kind != TokenKind.Identifier && !word.IsStopWithoutContraction)
                Length++;
        }
    }

    private readonly struct QueryReader(List<uint> terms, List<uint> stopped) : ITokenVisitor
    {
        public List<uint> Terms => terms;

        public List<uint> Stopped => stopped;

        public void Visit(scoped ReadOnlySpan<char> term, int start, int end, TokenKind kind)
        {
            if (term.IsEmpty)
                return;
            Span<char> buffer = stackalloc char[term.Length];
            var hash = Hash(Normalize(term, buffer));
            var list = StopWords.Contains(WithoutContraction(term)) ? stopped : terms;
            if (!list.Contains(hash))
                list.Add(hash);
        }
    }
}
