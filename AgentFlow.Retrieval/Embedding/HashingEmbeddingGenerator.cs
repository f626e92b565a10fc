using System.Numerics.Tensors;
using AgentFlow.Retrieval.Text;
using Microsoft.Extensions.AI;

namespace AgentFlow.Retrieval.Embedding;

/// <summary>
/// The built-in embedder: deterministic, offline, no download. Signed feature hashing of stems, pairs of neighbouring stems and character
/// n-grams of stems into 512 dimensions, L2-normalized; no corpus statistics, so a text's vector never changes. It knows spelling, not
/// meaning: related word forms, compounds and typing errors come close, synonyms do not. Thread-safe.
/// </summary>
public sealed class HashingEmbeddingGenerator : IEmbeddingGenerator<string, Embedding<float>>
{
    /// <summary>The model's name carries a version: any change of the features must raise it.</summary>
    public static readonly EmbeddingSpace Space = new("hashing-1", 512);

    private readonly EmbeddingGeneratorMetadata _metadata = new("agentflow", defaultModelId: Space.Model, defaultModelDimensions: Space.Dimensions);

    public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        var embeddings = new GeneratedEmbeddings<Embedding<float>>();
        foreach (var value in values)
        {
            cancellationToken.ThrowIfCancellationRequested();
            embeddings.Add(new Embedding<float>(Embed(value)) { ModelId = Space.Model });
        }

        return Task.FromResult(embeddings);
    }

    /// <summary>The vector of one text; all zero for a text without words. Cost: about 1 µs for each word.</summary>
    public static float[] Embed(ReadOnlySpan<char> text)
    {
        var features = new Features(new float[Space.Dimensions], []);
        Tokenizer.Visit(text, ref features);
        var vector = features.Finish();
        var norm = TensorPrimitives.Norm(vector);
        if (norm > 0)
            TensorPrimitives.Divide(vector, norm, vector);
        return vector;
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        if (serviceKey is not null)
            return null;
        return serviceType == typeof(EmbeddingGeneratorMetadata) ? _metadata : serviceType.IsInstanceOfType(this) ? this : null;
    }

    public void Dispose()
    {
        // Nothing is held.
    }

    private struct Features(float[] vector, Dictionary<ulong, float> counts) : ITokenVisitor
    {
        private ulong _previous;

        public void Visit(scoped ReadOnlySpan<char> term, int start, int end, TokenKind kind)
        {
            if (term.IsEmpty)
                return;
            Span<char> buffer = stackalloc char[term.Length];
            var stem = Analyzer.Normalize(term, buffer);
            var weight = StopWords.Contains(term) ? StopWordWeight : 1f;
            var hash = Hash(stem, WordSeed);
            Count(hash, weight);
            if (kind != TokenKind.Word || weight < 1f)
                return;
            if (_previous != 0)
                Count((_previous * 31) ^ hash ^ PairSeed, PairWeight);
            _previous = hash;
            AddGrams(stem);
        }

        public readonly float[] Finish()
        {
            // Repetition counts with its square root, or a long list of one word would drown everything else.
            foreach (var (feature, weight) in counts)
            {
                var mixed = Mix(feature);
                var value = MathF.Sqrt(weight);
                vector[mixed & 511] += (mixed >> 63) == 0 ? value : -value;
            }

            return vector;
        }

        private readonly void AddGrams(ReadOnlySpan<char> stem)
        {
            if (stem.Length < GramLength)
                return;
            var weight = GramWeight / MathF.Sqrt(stem.Length - GramLength + 1);
            for (var i = 0; i + GramLength <= stem.Length; i++)
                Count(Hash(stem.Slice(i, GramLength), i == 0 ? FirstGramSeed : GramSeed), weight * weight);
        }

        private readonly void Count(ulong feature, float weight)
        {
            ref var sum = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(counts, feature, out _);
            sum += weight;
        }
    }

    private const int GramLength = 4;
    private const float StopWordWeight = 0.02f;
    private const float PairWeight = 0.1f;
    private const float GramWeight = 0.5f;
    private const ulong WordSeed = 0x9E3779B97F4A7C15;
    private const ulong GramSeed = 0xC2B2AE3D27D4EB4F;
    private const ulong FirstGramSeed = 0x165667B19E3779F9;
    private const ulong PairSeed = 0x27D4EB2F165667C5;

    private static ulong Hash(ReadOnlySpan<char> text, ulong seed)
    {
        var hash = seed;
        foreach (var c in text)
            hash = (hash ^ c) * 1099511628211UL;
        return hash;
    }

    private static ulong Mix(ulong hash)
    {
        hash ^= hash >> 31;
        hash *= 0xBF58476D1CE4E5B9UL;
        hash ^= hash >> 27;
        hash *= 0x94D049BB133111EBUL;
        return hash ^ (hash >> 31);
    }
}
