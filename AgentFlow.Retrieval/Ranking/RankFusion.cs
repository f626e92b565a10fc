namespace AgentFlow.Retrieval.Ranking;

/// <summary>Orders the union of dense and lexical candidates by one calibrated score; for records that stand alone. Pure.</summary>
public static class RankFusion
{
    internal const double LexicalWeight = 0.7;
    internal const double DenseWeight = 0.3;

    /// <summary>Half of the lexical weight is reached at this BM25 score: about two rare words in common.</summary>
    internal const double LexicalMidpoint = 8;

    /// <returns>All candidates, best first; equal scores by id, so that the order does not depend on the index.</returns>
    public static IReadOnlyList<Ranked> Rank(IReadOnlyList<RankCandidate> candidates)
    {
        ArgumentNullException.ThrowIfNull(candidates);
        var ranked = new List<Ranked>(candidates.Count);
        foreach (var candidate in candidates)
        {
            var lexical = LexicalWeight * Saturate(candidate.Bm25 ?? 0);
            var dense = DenseWeight * Math.Clamp(candidate.Dense ?? 0, 0, 1);
            var parts = new Dictionary<string, double>(StringComparer.Ordinal) { ["bm25"] = lexical, ["dense"] = dense };
            ranked.Add(new Ranked(candidate, lexical + dense, parts));
        }

        ranked.Sort(static (x, y) => y.Score != x.Score ? y.Score.CompareTo(x.Score) : x.Candidate.Id.CompareTo(y.Candidate.Id));
        return ranked;
    }

    internal static double Saturate(double bm25) => bm25 / (bm25 + LexicalMidpoint);
}
