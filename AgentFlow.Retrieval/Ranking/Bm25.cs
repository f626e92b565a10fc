namespace AgentFlow.Retrieval.Ranking;

/// <summary>Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) with Lucene's non-negative idf. Pure.</summary>
public static class Bm25
{
    /// <summary>How fast repetition saturates; 1.2 is the usual choice, and what the Qdrant index uses as well.</summary>
    public const float K1 = 1.2f;

    /// <summary>How much long texts are discounted, 0 to 1.</summary>
    public const float B = 0.75f;

    /// <param name="documents">Number of texts; at least <paramref name="containing"/>.</param>
    /// <param name="containing">How many of them hold the term.</param>
    public static float Idf(int documents, int containing) => MathF.Log(1 + ((documents - containing + 0.5f) / (containing + 0.5f)));

    /// <summary>The part of a term's weight that depends on the text alone: 0 to K1 + 1.</summary>
    /// <param name="averageLength">Over all texts, in words; above 0.</param>
    public static float TermWeight(int count, int length, float averageLength) =>
        count * (K1 + 1) / (count + (K1 * (1 - B + (B * length / averageLength))));
}
