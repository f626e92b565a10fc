using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.AI;

namespace AgentFlow.Retrieval.Embedding;

/// <summary>
/// Keeps the vectors of texts that were embedded lately, so that a repeated query costs no call. Keyed by a hash of the text; bounded by
/// entries, of which the half that was not used lately goes when it is full. Thread-safe; two callers may embed the same text at once.
/// </summary>
/// <param name="inner">Asked for what is not kept; disposed with this.</param>
/// <param name="maxEntries">1 to 1,000,000; an entry of 512 dimensions takes about 2.2 kB.</param>
public sealed class EmbeddingCache(IEmbeddingGenerator<string, Embedding<float>> inner, int maxEntries) : DelegatingEmbeddingGenerator<string, Embedding<float>>(inner)
{
    private readonly Lock _changing = new();
    private Dictionary<UInt128, Embedding<float>> _recent = [];
    private Dictionary<UInt128, Embedding<float>> _older = [];

    public override async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        var texts = values as IReadOnlyList<string> ?? [.. values];

        // Other options mean other vectors.
        if (options is not null)
            return await base.GenerateAsync(texts, options, cancellationToken);
        var keys = texts.Select(KeyOf).ToArray();
        var found = keys.Select(Find).ToArray();
        var missing = Enumerable.Range(0, texts.Count).Where(i => found[i] is null).ToList();
        var generated = new GeneratedEmbeddings<Embedding<float>>();
        if (missing.Count > 0)
        {
            generated = await base.GenerateAsync(missing.Select(i => texts[i]), options, cancellationToken);
            if (generated.Count != missing.Count)
                throw new InvalidOperationException($"{missing.Count} texts gave {generated.Count} embeddings.");
            for (var i = 0; i < missing.Count; i++)
                Keep(keys[missing[i]], found[missing[i]] = generated[i]);
        }

        return new GeneratedEmbeddings<Embedding<float>>(found!) { Usage = generated.Usage };
    }

    private static UInt128 KeyOf(string text)
    {
        Span<byte> hash = stackalloc byte[32];
        SHA256.HashData(Encoding.UTF8.GetBytes(text), hash);
        return System.Buffers.Binary.BinaryPrimitives.ReadUInt128LittleEndian(hash);
    }

    private Embedding<float>? Find(UInt128 key)
    {
        lock (_changing)
        {
            if (_recent.TryGetValue(key, out var found))
                return found;
            if (!_older.TryGetValue(key, out found))
                return null;
            Add(key, found);
            return found;
        }
    }

    private void Keep(UInt128 key, Embedding<float> embedding)
    {
        lock (_changing)
            Add(key, embedding);
    }

    /// <summary>Two generations: what was not used while the newer one filled up goes with the older one.</summary>
    private void Add(UInt128 key, Embedding<float> embedding)
    {
        if (_recent.Count >= Math.Max(1, maxEntries / 2))
            (_older, _recent) = (_recent, []);
        _recent[key] = embedding;
    }
}
