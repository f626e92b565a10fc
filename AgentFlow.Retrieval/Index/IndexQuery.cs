using AgentFlow.Retrieval.Filters;

namespace AgentFlow.Retrieval.Index;

/// <summary>At least one of <see cref="Vector"/> and <see cref="Text"/> is given.</summary>
public sealed record IndexQuery
{
    public ReadOnlyMemory<float>? Vector { get; init; }

    /// <summary>Searched by words (BM25).</summary>
    public string? Text { get; init; }

    public FilterExpression? Filter { get; init; }

    /// <summary>How many candidates each of the two ways contributes; 1 to 1,000.</summary>
    public int Limit { get; init; } = 100;

    /// <summary>Also returns the two turns before and after each hit in its session, with their own raw scores, where the filter matches them.</summary>
    public bool WithNeighbours { get; init; }
}

/// <summary>A candidate with raw scores; order means nothing, the ranking decides.</summary>
/// <param name="Dense">Cosine similarity, -1 to 1; null when it is not known.</param>
/// <param name="Bm25">0 or more; null when it is not known, 0 when no word matches.</param>
/// <param name="Around">Only when neighbours were asked for, and only for turns.</param>
public sealed record IndexHit(Guid Id, long Version, double? Dense, double? Bm25, Turn? Turn = null, TurnNeighbours? Around = null);

/// <summary>The turns beside a turn in its session, as far as there are any that the filter matches.</summary>
public sealed record TurnNeighbours(Guid? SecondBefore, Guid? Before, Guid? After, Guid? SecondAfter);

/// <param name="Degraded">Why the answer did not come from the index that was configured; null when it did.</param>
public sealed record IndexAnswer(IReadOnlyList<IndexHit> Hits, string? Degraded = null);
