using AgentFlow.Retrieval.Embedding;

namespace AgentFlow.Retrieval.Ranking;

/// <summary>
/// How much each signal counts beside the best candidate's words, which count 1. Measured on five of LoCoMo's conversations
/// (docs/measurements/retrieval.md); every weight can move by half without the recall changing by more than a point.
/// </summary>
public sealed record RankWeights
{
    /// <summary>For the built-in embedder, which knows spelling and no meaning: it mainly adds what shares no whole word.</summary>
    public static readonly RankWeights Hashing = new() { Dense = 0.1 };

    /// <summary>For embeddings of a model, on a par with words (as reciprocal rank fusion has it); not measured here, since no model runs here.</summary>
    public static readonly RankWeights Model = new() { Dense = 1 };

    /// <summary>The most similar candidate gets this.</summary>
    public required double Dense { get; init; }

    /// <summary>A record whose entity is named in the query gets this.</summary>
    public double Entity { get; init; } = 0.5;

    /// <summary>The share of its own score that a turn gives to the ones right before and after it.</summary>
    public double Adjacent { get; init; } = 0.4;

    /// <summary>The same for the turns beyond those.</summary>
    public double SecondAdjacent { get; init; } = 0.2;

    /// <summary>Given to all turns of the best fitting session, and in proportion to the others.</summary>
    public double Session { get; init; } = 0.2;

    /// <summary>Given to a turn when the query names its speaker.</summary>
    public double Speaker { get; init; } = 0.4;

    /// <summary>Given to a turn that was said when the query says.</summary>
    public double Time { get; init; } = 0.3;

    /// <summary>A record outside of any conversation has no neighbours to speak for it; its own score counts that much more.</summary>
    public double Alone { get; init; } = 0.5;

    public static RankWeights For(EmbeddingSpace space) => space == HashingEmbeddingGenerator.Space ? Hashing : Model;
}
