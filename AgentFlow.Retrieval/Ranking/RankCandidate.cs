using AgentFlow.Retrieval.Index;

namespace AgentFlow.Retrieval.Ranking;

/// <summary>What the ranking knows of one candidate; scores are raw, as the index gives them.</summary>
public sealed record RankCandidate
{
    public required Guid Id { get; init; }

    public double? Dense { get; init; }

    public double? Bm25 { get; init; }

    /// <summary>0 to 1: how strongly entities of the query link to the record; 0 when none do.</summary>
    public double Entity { get; init; }

    public Turn? Turn { get; init; }

    public static RankCandidate From(IndexHit hit) =>
        new() { Id = hit.Id, Dense = hit.Dense, Bm25 = hit.Bm25, Turn = hit.Turn };
}

/// <param name="Score">0 to 1, comparable over queries.</param>
/// <param name="Parts">What each signal added to the score, by name.</param>
public sealed record Ranked(RankCandidate Candidate, double Score, IReadOnlyDictionary<string, double> Parts);
