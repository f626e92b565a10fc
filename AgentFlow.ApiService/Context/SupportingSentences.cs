using AgentFlow.Retrieval.Text;

namespace AgentFlow.ApiService.Context;

/// <summary>Finds the sentences of a passage that a claim rests on, by the words they share. Pure; linear in the passage.</summary>
internal static class SupportingSentences
{
    private const int MaxSentences = 3;

    /// <summary>A neighbour is taken in when it brings this many of the claim's words that the others lack.</summary>
    private const int WordsToExtend = 2;

    /// <returns>A range of the passage's text, whole sentences, never empty for a passage with text.</returns>
    public static TextSpan Find(string passage, string claim)
    {
        var sentences = SentenceSplitter.Split(passage);
        if (sentences.Count <= 1)
            return sentences.Count == 1 ? sentences[0] : new TextSpan(0, passage.Length);
        var wanted = Analyzer.Query(claim).ToHashSet();
        var words = sentences.Select(s => Analyzer.Query(passage.AsSpan(s.Start, s.Length)).ToHashSet()).ToArray();
        var best = BestSentence(words, wanted);
        return best < 0 ? FirstOf(sentences) : Extend(sentences, words, wanted, best);
    }

    private static int BestSentence(HashSet<uint>[] words, HashSet<uint> wanted)
    {
        var best = -1;
        var bestScore = 0d;
        for (var i = 0; i < words.Length; i++)
        {
            var shared = words[i].Count(wanted.Contains);
            var score = shared == 0 ? 0 : 2d * shared / (words[i].Count + wanted.Count);
            if (score > bestScore)
                (best, bestScore) = (i, score);
        }

        return best;
    }

    private static TextSpan Extend(IReadOnlyList<TextSpan> sentences, HashSet<uint>[] words, HashSet<uint> wanted, int best)
    {
        var missing = new HashSet<uint>(wanted);
        missing.ExceptWith(words[best]);
        var (first, last) = (best, best);
        while (last - first + 1 < MaxSentences)
        {
            var before = first > 0 ? words[first - 1].Count(missing.Contains) : 0;
            var after = last + 1 < words.Length ? words[last + 1].Count(missing.Contains) : 0;
            if (Math.Max(before, after) < WordsToExtend)
                break;
            missing.ExceptWith(words[before > after ? --first : ++last]);
        }

        return new TextSpan(sentences[first].Start, sentences[last].End);
    }

    /// <summary>The claim shares no word with the passage, as in a translation: its beginning stands for it.</summary>
    private static TextSpan FirstOf(IReadOnlyList<TextSpan> sentences) =>
        new(sentences[0].Start, sentences[Math.Min(MaxSentences, sentences.Count) - 1].End);
}
