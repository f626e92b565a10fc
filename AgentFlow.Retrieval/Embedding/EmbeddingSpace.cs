namespace AgentFlow.Retrieval.Embedding;

/// <summary>Vectors of different spaces are never compared or kept in one collection.</summary>
/// <param name="Model">Provider and model, with a version where the provider has one, such as <c>hashing-1</c>.</param>
/// <param name="Dimensions">Length of every vector.</param>
public sealed record EmbeddingSpace(string Model, int Dimensions);
