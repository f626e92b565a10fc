using System.Numerics.Tensors;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Text;

namespace AgentFlow.Tests.Retrieval.Embedding;

public sealed class HashingEmbeddingGeneratorTests
{
    [Fact]
    public async Task Vectors_are_normalized_repeatable_and_alike_for_alike_texts()
    {
        using var generator = new HashingEmbeddingGenerator();
        var embeddings = await generator.GenerateAsync(
            ["She bought a red bicycle", "She buys red bicycles", "The treaty was signed in Geneva", ""], cancellationToken: TestContext.Current.CancellationToken);
        Assert.All(embeddings, embedding => Assert.Equal(512, embedding.Vector.Length));
        Assert.All(embeddings.Take(3), embedding => Assert.Equal(1, TensorPrimitives.Norm(embedding.Vector.Span), 1e-5f));
        Assert.Equal(0, TensorPrimitives.Norm(embeddings[3].Vector.Span));
        Assert.Equal(embeddings[0].Vector.ToArray(), HashingEmbeddingGenerator.Embed("She bought a red bicycle"));
        Assert.True(TensorPrimitives.Dot(embeddings[0].Vector.Span, embeddings[1].Vector.Span) > 0.8f);
        Assert.True(Math.Abs(TensorPrimitives.Dot(embeddings[0].Vector.Span, embeddings[2].Vector.Span)) < 0.2f);
    }

    [Theory]
    [InlineData("She bought a red bicycle")]
    [InlineData("The treaty was signed in Geneva; it's running runs ran, C# and a.b@c.org 1,000 Müller straße")]
    [InlineData("generalizations of internationalization are the organizers' responsibilities, generalizations of the organization")]
    [InlineData("the of and")]
    public void Vector_is_the_signed_sum_of_stems_pairs_and_grams(string text)
    {
        // Written as plainly as it can be; stored vectors are compared with new ones, so what it says must never change.
        var plain = new Plain([]);
        Tokenizer.Visit(text, ref plain);
        var vector = new float[512];
        foreach (var (feature, weight) in plain.Sums)
        {
            var mixed = feature ^ (feature >> 31);
            mixed *= 0xBF58476D1CE4E5B9UL;
            mixed ^= mixed >> 27;
            mixed *= 0x94D049BB133111EBUL;
            mixed ^= mixed >> 31;
            vector[mixed & 511] += (mixed >> 63) == 0 ? MathF.Sqrt(weight) : -MathF.Sqrt(weight);
        }

        var norm = MathF.Sqrt(vector.Sum(value => value * value));
        var actual = HashingEmbeddingGenerator.Embed(text);
        Assert.All(Enumerable.Range(0, 512), i => Assert.Equal(vector[i] / norm, actual[i], 1e-5f));
    }

    [Fact]
    public void Text_of_a_megabyte_is_embedded_and_the_next_one_as_ever()
    {
        var before = HashingEmbeddingGenerator.Embed("The lighthouse stands on a rock.");
        var long1 = HashingEmbeddingGenerator.Embed(string.Concat(Enumerable.Range(0, 100_000).Select(i => $"word{i} ")));
        Assert.Equal(1, TensorPrimitives.Norm(long1), 1e-4f);
        Assert.Equal(before, HashingEmbeddingGenerator.Embed("The lighthouse stands on a rock."));
    }

    private struct Plain(Dictionary<ulong, float> sums) : ITokenVisitor
    {
        private ulong previous;

        public readonly Dictionary<ulong, float> Sums => sums;

        public void Visit(scoped ReadOnlySpan<char> term, int start, int end, TokenKind kind)
        {
            Span<char> buffer = stackalloc char[term.Length];
            var stem = Analyzer.Normalize(term, buffer);
            var isStop = StopWords.Contains(term);
            var hash = Hash(stem, 0x9E3779B97F4A7C15);
            Add(hash, isStop ? 0.02f : 1f);
            if (kind != TokenKind.Word || isStop)
                return;
            if (previous != 0)
                Add((previous * 31) ^ hash ^ 0x27D4EB2F165667C5, 0.1f);
            previous = hash;
            for (var i = 0; i + 4 <= stem.Length; i++)
                Add(Hash(stem.Slice(i, 4), i == 0 ? 0x165667B19E3779F9 : 0xC2B2AE3D27D4EB4F), 0.25f / (stem.Length - 3));
        }

        private readonly void Add(ulong feature, float weight) => sums[feature] = sums.GetValueOrDefault(feature) + weight;

        private static ulong Hash(ReadOnlySpan<char> text, ulong seed)
        {
            foreach (var c in text)
                seed = (seed ^ c) * 1099511628211UL;
            return seed;
        }
    }
}
