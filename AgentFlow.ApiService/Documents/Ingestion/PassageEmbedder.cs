using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using AgentFlow.Retrieval.Embedding;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Documents;

/// <summary>The configured embedder with its answers checked: a wrong count or dimension, NaN or a zero-length vector refuses the whole batch.</summary>
internal sealed class PassageEmbedder(IEmbeddingGenerator<string, Embedding<float>> generator, EmbeddingSpace space, IOptions<DocumentOptions> options)
    : IDisposable
{
    private readonly EmbeddingCache queries = new(generator, options.Value.QueryCacheEntries);

    public EmbeddingSpace Space => space;

    /// <summary>L2-normalized vectors, one for each text and in their order; all zero for a text without words.</summary>
    /// <exception cref="InvalidDataException">The embedder answered something else than was asked.</exception>
    public async Task<IReadOnlyList<ReadOnlyMemory<float>>> EmbedAsync(IReadOnlyList<string> texts, CancellationToken ct)
    {
        return Check(texts, await generator.GenerateAsync(texts, cancellationToken: ct));
    }

    /// <summary>The same for a query; those asked lately are kept (<see cref="DocumentOptions.QueryCacheEntries"/>).</summary>
    public async Task<ReadOnlyMemory<float>> EmbedQueryAsync(string text, CancellationToken ct) =>
        Check([text], await queries.GenerateAsync([text], cancellationToken: ct))[0];

    /// <summary>The generator ends with the service too; ending twice does no harm.</summary>
    public void Dispose() => queries.Dispose();

    private List<ReadOnlyMemory<float>> Check(IReadOnlyList<string> texts, GeneratedEmbeddings<Embedding<float>> answers)
    {
        if (answers.Count != texts.Count)
            throw new InvalidDataException($"The embedder answered {answers.Count} vectors for {texts.Count} texts.");
        return [.. answers.Select(answer => Normalize(answer.Vector))];
    }

    /// <summary>As it is stored: little-endian floats.</summary>
    public static byte[] ToBytes(ReadOnlyMemory<float> vector) => MemoryMarshal.AsBytes(vector.Span).ToArray();

    public static ReadOnlyMemory<float> FromBytes(byte[] bytes) => MemoryMarshal.Cast<byte, float>(bytes).ToArray();

    private ReadOnlyMemory<float> Normalize(ReadOnlyMemory<float> vector)
    {
        if (vector.Length != space.Dimensions)
            throw new InvalidDataException($"The embedder answered {vector.Length} dimensions where {space.Dimensions} are configured.");
        var norm = TensorPrimitives.Norm(vector.Span);
        if (!float.IsFinite(norm))
            throw new InvalidDataException("The embedder answered a vector that is not finite.");
        if (norm == 0 || Math.Abs(norm - 1) < 1e-5)
            return vector;
        var normalized = new float[vector.Length];
        TensorPrimitives.Divide(vector.Span, norm, normalized);
        return normalized;
    }
}
