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

    public TurnNeighbours? Around { get; init; }

    public static RankCandidate From(IndexHit hit) =>
        new() { Id = hit.Id, Dense = hit.Dense, Bm25 = hit.Bm25, Turn = hit.Turn, Around = hit.Around };
}

/// <param name="Score">0 to 1: this query's best has the strength of its evidence, the others their share of it.</param>
public sealed record Ranked(RankCandidate Candidate, double Score, RankParts Parts);

/// <summary>What each signal added to a score; they sum up to it.</summary>
/// <param name="Bm25">Words in common.</param>
/// <param name="Dense">Similarity of the embeddings.</param>
/// <param name="Entity">Links to entities that the query names.</param>
/// <param name="Neighbours">What the turns before and after have in common with the query.</param>
/// <param name="Session">How well the whole session fits.</param>
/// <param name="Speaker">The query names who said it.</param>
/// <param name="Time">The query names when it was said.</param>
public readonly record struct RankParts(double Bm25, double Dense, double Entity, double Neighbours, double Session, double Speaker, double Time)
{
    public double Sum => Bm25 + Dense + Entity + Neighbours + Session + Speaker + Time;

    /// <summary>By camel-case name, without the zeros.</summary>
    public IReadOnlyDictionary<string, double> ToDictionary()
    {
        var parts = new Dictionary<string, double>(StringComparer.Ordinal);
        Add("bm25", Bm25);
        Add("dense", Dense);
        Add("entity", Entity);
        Add("neighbours", Neighbours);
        Add("session", Session);
        Add("speaker", Speaker);
        Add("time", Time);
        return parts;

        void Add(string name, double value)
        {
            if (value != 0)
                parts[name] = value;
        }
    }

    internal RankParts Times(double factor) =>
        new(Bm25 * factor, Dense * factor, Entity * factor, Neighbours * factor, Session * factor, Speaker * factor, Time * factor);
}
