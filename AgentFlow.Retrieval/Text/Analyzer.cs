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
    /// <summary>All terms of a stored text, stop words included.</summary>
    public static TermVector Index(ReadOnlySpan<char> text)
    {
        var counter = new Counter(new Dictionary<uint, ushort>());
        Tokenizer.Visit(text, ref counter);
        var terms = new TermCount[counter.Counts.Count];
        var i = 0;
        foreach (var (term, count) in counter.Counts)
            terms[i++] = new TermCount(term, count);
        Array.Sort(terms, static (x, y) => x.Term.CompareTo(y.Term));
        return new TermVector(terms, counter.Length);
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
