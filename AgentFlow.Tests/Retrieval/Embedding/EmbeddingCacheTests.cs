using AgentFlow.Retrieval.Embedding;
using Microsoft.Extensions.AI;

namespace AgentFlow.Tests.Retrieval.Embedding;

public sealed class EmbeddingCacheTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_text_is_embedded_once_while_it_is_used()
    {
        using var counting = new Counting();
        using var cache = new EmbeddingCache(counting, maxEntries: 8);
        var first = await cache.GenerateAsync(["a", "b"], cancellationToken: Ct);
        var second = await cache.GenerateAsync(["b", "c", "a"], cancellationToken: Ct);
        Assert.Equal(["a", "b", "c"], counting.Texts);
        Assert.Equal([first[1], first[0]], [second[0], second[2]]);

        for (var i = 0; i < 40; i++)
            await cache.GenerateAsync(["a", $"filler {i}"], cancellationToken: Ct);
        Assert.Equal(1, counting.Texts.Count(text => text == "a"));
        await cache.GenerateAsync(["b"], cancellationToken: Ct);
        Assert.Equal(2, counting.Texts.Count(text => text == "b"));
    }

    [Fact]
    public async Task A_failure_is_not_kept()
    {
        using var counting = new Counting { Failure = new HttpRequestException("down") };
        using var cache = new EmbeddingCache(counting, maxEntries: 8);
        await Assert.ThrowsAsync<HttpRequestException>(() => cache.GenerateAsync(["a"], cancellationToken: Ct));
        counting.Failure = null;
        Assert.Single(await cache.GenerateAsync(["a"], cancellationToken: Ct));
    }

    /// <summary>Stands for a provider.</summary>
    private sealed class Counting : IEmbeddingGenerator<string, Embedding<float>>
    {
        public List<string> Texts { get; } = [];

        public Exception? Failure { get; set; }

        public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
        {
            if (Failure is not null)
                throw Failure;
            var texts = values.ToList();
            Texts.AddRange(texts);
            return Task.FromResult(new GeneratedEmbeddings<Embedding<float>>(texts.Select(text => new Embedding<float>(HashingEmbeddingGenerator.Embed(text)))));
        }

        public object? GetService(Type serviceType, object? serviceKey = null) => null;

        public void Dispose()
        {
        }
    }
}
