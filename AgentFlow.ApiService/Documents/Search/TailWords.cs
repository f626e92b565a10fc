using System.Collections.Frozen;
using AgentFlow.Retrieval.Ranking;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.ApiService.Documents;

/// <summary>Word scores for passages that are not in an index yet, where nobody has counted how rare a word is. Pure.</summary>
internal static class TailWords
{
    /// <summary>The idf of a word that one passage in fifty holds: the middle of what questions ask with.</summary>
    private const float AssumedIdf = 4;

    /// <summary>Words in a passage of the default size.</summary>
    private const float AssumedLength = 120;

    public static FrozenSet<uint> Of(string query) => Analyzer.Query(query).ToFrozenSet();

    public static double Score(IReadOnlySet<uint> terms, string text)
    {
        var words = Analyzer.Index(text);
        double score = 0;
        foreach (var (term, count) in words.Terms)
        {
            if (terms.Contains(term))
                score += AssumedIdf * Bm25.TermWeight(count, words.Length, AssumedLength);
        }

        return score;
    }
}
