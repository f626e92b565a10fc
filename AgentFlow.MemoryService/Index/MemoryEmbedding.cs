using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Ranking;
using Microsoft.Extensions.AI;

namespace AgentFlow.MemoryService.Index;

/// <summary>Embeds what is stored and asked, in one call for a batch. Thread-safe.</summary>
internal sealed partial class MemoryEmbedding(
    IEmbeddingGenerator<string, Embedding<float>> generator, EmbeddingSpace space, ILogger<MemoryEmbedding> logger)
{
    /// <summary>What a response says when the embedder did not answer.</summary>
    internal const string Unavailable = "embedding";

    internal string Model => space.Model;

    /// <summary>Embedding costs no call.</summary>
    internal bool IsBuiltIn => generator is HashingEmbeddingGenerator;

    /// <summary>Something may have been stored without its vector since this was last set to false.</summary>
    internal bool HasFailed
    {
        get => Volatile.Read(ref _hasFailed);
        set => Volatile.Write(ref _hasFailed, value);
    }

    private bool _hasFailed;

    /// <summary>How much these embeddings count beside words.</summary>
    internal RankWeights Weights { get; } = RankWeights.For(space);

    /// <returns>The memories with their vectors; without them, and the reason, when the embedder is down: they are then found by their words.</returns>
    internal async Task<(IReadOnlyList<NewMemory> Memories, string? Degraded)> EmbedAsync(IReadOnlyList<NewMemory> memories, CancellationToken ct)
    {
        if (memories.Count == 0)
            return (memories, null);
        var vectors = await TryEmbedAsync([.. memories.Select(memory => memory.Text)], ct);
        return vectors is null
            ? (memories, Unavailable)
            : ([.. memories.Select((memory, i) => memory with { Vector = vectors[i] })], null);
    }

    /// <returns>One vector for each text; null when the embedder did not answer.</returns>
    internal async Task<IReadOnlyList<ReadOnlyMemory<float>>?> TryEmbedAsync(IReadOnlyList<string> texts, CancellationToken ct)
    {
        if (IsBuiltIn)
            return [.. texts.Select(text => (ReadOnlyMemory<float>)HashingEmbeddingGenerator.Embed(text))];
        try
        {
            var embeddings = await generator.GenerateAsync(texts, cancellationToken: ct);
            if (embeddings.Count == texts.Count && embeddings.All(embedding => embedding.Vector.Length == space.Dimensions))
                return [.. embeddings.Select(embedding => Normalize(embedding.Vector))];
            HasFailed = true;
            LogWrongShape(embeddings.Count, texts.Count, space.Dimensions);
            return null;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or TimeoutException or System.ClientModel.ClientResultException
            || (error is OperationCanceledException && !ct.IsCancellationRequested))
        {
            HasFailed = true;
            LogFailed(error, texts.Count);
            return null;
        }
    }

    private static ReadOnlyMemory<float> Normalize(ReadOnlyMemory<float> vector)
    {
        var copy = vector.ToArray();
        var norm = System.Numerics.Tensors.TensorPrimitives.Norm(copy);
        if (norm > 0)
            System.Numerics.Tensors.TensorPrimitives.Divide(copy, norm, copy);
        return copy;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The embedder did not answer for {Count} texts; they are kept without vectors")]
    private partial void LogFailed(Exception error, int count);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The embedder gave {Given} vectors for {Asked} texts, or not of {Dimensions} numbers; none is used")]
    private partial void LogWrongShape(int given, int asked, int dimensions);
}
