using System.Numerics.Tensors;
using AgentFlow.Retrieval.Embedding;

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
}
