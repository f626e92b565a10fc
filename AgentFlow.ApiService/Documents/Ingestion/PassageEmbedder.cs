using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using AgentFlow.Retrieval.Embedding;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Documents;

/// <summary>The configured embedder with its answers checked: a wrong count or dimension, NaN or a zero-length vector refuses the whole batch.</summary>
internal sealed partial class PassageEmbedder(
    IEmbeddingGenerator<string, Embedding<float>> generator, EmbeddingSpace space, IOptions<DocumentOptions> options, ILogger<PassageEmbedder> logger) : IDisposable
{
    /// <summary>What a search says when the embedder did not answer.</summary>
    public const string Unavailable = "embedding";

    private readonly EmbeddingCache queries = new(generator, options.Value.QueryCacheEntries);

    public EmbeddingSpace Space => space;

    /// <summary>L2-normalized vectors, one for each text and in their order; all zero for a text without words.</summary>
    /// <exception cref="InvalidDataException">The embedder answered something else than was asked.</exception>
    public async Task<IReadOnlyList<ReadOnlyMemory<float>>> EmbedAsync(IReadOnlyList<string> texts, CancellationToken ct)
    {
        return Check(texts, await generator.GenerateAsync(texts, cancellationToken: ct));
    }

    /// <summary>The same for a query; those asked lately are kept (<see cref="DocumentOptions.QueryCacheEntries"/>).</summary>
    /// <returns>Null when the embedder did not answer as it should: passages are then found by their words.</returns>
    public async Task<ReadOnlyMemory<float>?> TryEmbedQueryAsync(string text, CancellationToken ct)
    {
        try
        {
            return Check([text], await queries.GenerateAsync([text], cancellationToken: ct))[0];
        }
        catch (Exception error) when (error is HttpRequestException or IOException or TimeoutException or InvalidDataException)
        {
            LogFailed(error);
            return null;
        }
    }

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

    [LoggerMessage(Level = LogLevel.Warning, Message = "The embedder did not answer for a query; it is asked by its words")]
    private partial void LogFailed(Exception error);
}
