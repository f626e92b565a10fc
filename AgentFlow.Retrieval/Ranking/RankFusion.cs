namespace AgentFlow.Retrieval.Ranking;

/// <summary>Orders the union of dense and lexical candidates by one calibrated score; for records that stand alone. Pure.</summary>
public static class RankFusion
{
    /// <summary>Half of the confidence is reached at this BM25 score: about two rare words in common.</summary>
    private const double HalfConfident = 6;

    /// <returns>All candidates, best first; equal scores by id, so that the order does not depend on the index.</returns>
    public static IReadOnlyList<Ranked> Rank(IReadOnlyList<RankCandidate> candidates, RankWeights weights)
    {
        ArgumentNullException.ThrowIfNull(candidates);
        ArgumentNullException.ThrowIfNull(weights);
        return Order(candidates, OwnParts(candidates, weights));
    }

    /// <summary>
    /// What each candidate has by itself, relative to the best of each kind: linear, so that a large lead stays a large lead (ranks alone
    /// would hide it).
    /// </summary>
    internal static RankParts[] OwnParts(IReadOnlyList<RankCandidate> candidates, RankWeights weights)
    {
        var (bestWords, bestDense) = (double.Epsilon, double.Epsilon);
        foreach (var candidate in candidates)
        {
            bestWords = Math.Max(bestWords, candidate.Bm25 ?? 0);
            bestDense = Math.Max(bestDense, candidate.Dense ?? 0);
        }

        var parts = new RankParts[candidates.Count];
        for (var i = 0; i < parts.Length; i++)
        {
            parts[i] = new RankParts
            {
                Bm25 = (candidates[i].Bm25 ?? 0) / bestWords,
                Dense = weights.Dense * Math.Max(0, candidates[i].Dense ?? 0) / bestDense,
                Entity = weights.Entity * candidates[i].Entity,
            };
        }

        return parts;
    }

    /// <summary>
    /// Scales so that the best gets the strength of the query's evidence. Only the best candidates' raw scores tell whether the query was
    /// answered at all, and only the parts how the candidates compare.
    /// </summary>
    internal static List<Ranked> Order(IReadOnlyList<RankCandidate> candidates, RankParts[] parts)
    {
        var (best, confidence) = (double.Epsilon, 0.0);
        for (var i = 0; i < parts.Length; i++)
        {
            best = Math.Max(best, parts[i].Sum);
            confidence = Math.Max(confidence, Confidence(candidates[i]));
        }

        var ranked = new List<Ranked>(candidates.Count);
        for (var i = 0; i < parts.Length; i++)
        {
            var scaled = parts[i].Times(confidence / best);
            ranked.Add(new Ranked(candidates[i], Math.Clamp(scaled.Sum, 0, 1), scaled));
        }

        ranked.Sort(static (x, y) => x.Score != y.Score ? y.Score.CompareTo(x.Score) : x.Candidate.Id.CompareTo(y.Candidate.Id));
        return ranked;
    }

    private static double Confidence(RankCandidate candidate)
    {
        var words = candidate.Bm25 ?? 0;
        return Math.Clamp(Math.Max(words / (words + HalfConfident), Math.Max(candidate.Dense ?? 0, candidate.Entity * 0.5)), 0, 1);
    }
}
