using System.Globalization;
using AgentFlow.ApiService.Documents;
using AgentFlow.Contracts.Documents;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>What orders passages beside their own words: the document's name, a reranker, and the cache of queries.</summary>
public sealed class SearchTests : IAsyncLifetime
{
    private readonly Hooks hooks = new();
    private ApiHost host = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => host = await ApiHost.StartAsync(
        new() { ["Documents:QueryCacheEntries"] = "8" },
        builder =>
        {
            builder.Services.AddSingleton<IEmbeddingGenerator<string, Embedding<float>>>(hooks);
            builder.Services.AddSingleton<RerankPassages>(hooks.RerankAsync);
        });

    public ValueTask DisposeAsync() => host.DisposeAsync();

    [Fact]
    public async Task Question_that_names_a_document_finds_its_passages()
    {
        var client = new DocumentClient(await host.RegisterAsync());
        for (var i = 0; i < 12; i++)
            await client.IngestAsync($"minutes-{i}.txt", $"The board met in room {i} and agreed on the budget of the year.");
        var named = await client.IngestAsync("lighthouse-charter.txt", "The board met in room 40 and agreed on the budget of the year.");

        var hits = await client.SearchAsync("What does the lighthouse charter say about the budget?");

        Assert.Equal(named.Id, hits[0].DocumentId);
        Assert.DoesNotContain("charter", hits[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reranker_orders_only_where_it_is_asked_for_and_its_failure_is_named()
    {
        var client = new DocumentClient(await host.RegisterAsync());
        await client.IngestAsync("a.txt", "Apples keep well in the cellar in the winter, in boxes.");
        await client.IngestAsync("b.txt", "Apples: preferred.");
        var request = new DocumentSearchRequest { Query = "apples cellar winter boxes", TopK = 1, Explain = true };

        var plain = await client.AnswerAsync(request);
        var reranked = await client.AnswerAsync(request with { Rerank = true });
        hooks.IsDown = true;
        var down = await client.AnswerAsync(request with { Rerank = true });

        Assert.Equal(["a.txt"], plain.Items.Select(hit => hit.DocumentName));
        Assert.Equal(("b.txt", 1.0), (Assert.Single(reranked.Items).DocumentName, reranked.Items[0].Scores!["rerank"]));
        Assert.Null(reranked.Degraded);
        Assert.Equal(("a.txt", "reranker"), (Assert.Single(down.Items).DocumentName, Assert.Single(down.Degraded!)));
    }

    [Fact]
    public async Task Repeated_query_is_embedded_once_and_old_ones_are_forgotten()
    {
        var client = new DocumentClient(await host.RegisterAsync());
        for (var i = 0; i < 3; i++)
            await client.SearchAsync("the very same question");
        Assert.Equal(1, hooks.Embedded("the very same question"));

        for (var i = 0; i < 20; i++)
            await client.SearchAsync(string.Create(CultureInfo.InvariantCulture, $"another question {i}"));
        await client.SearchAsync("the very same question");
        Assert.Equal(2, hooks.Embedded("the very same question"));
    }

    [Fact]
    public async Task Passages_that_were_embedded_before_are_not_embedded_again()
    {
        var client = new DocumentClient(await host.RegisterAsync());
        const string Text = "The kestrel hovers over the quarry at dawn.";
        var first = await client.IngestAsync("kestrel.txt", Text);
        var embedded = hooks.EmbeddedWith("kestrel hovers");
        using var deleted = await client.Http.DeleteAsync($"/api/documents/{first.Id}", Ct);
        await client.IngestAsync("kestrel.txt", Text);
        Assert.Equal((1, 1), (embedded, hooks.EmbeddedWith("kestrel hovers")));
    }

    /// <summary>Stands for an embedding provider and a reranking one.</summary>
    private sealed class Hooks : IEmbeddingGenerator<string, Embedding<float>>
    {
        private readonly List<string> texts = [];

        public bool IsDown { get; set; }

        public int Embedded(string text)
        {
            lock (texts)
                return texts.Count(each => each == text);
        }

        public int EmbeddedWith(string part)
        {
            lock (texts)
                return texts.Count(each => each.Contains(part, StringComparison.Ordinal));
        }

        public Task<IReadOnlyList<double>> RerankAsync(string query, IReadOnlyList<DocumentHit> passages, CancellationToken ct) => IsDown
            ? throw new HttpRequestException("scripted")
            : Task.FromResult<IReadOnlyList<double>>([.. passages.Select(passage => passage.Text.Contains("preferred", StringComparison.Ordinal) ? 1.0 : 0.1)]);

        public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
        {
            var asked = values.ToList();
            lock (texts)
                texts.AddRange(asked);
            return Task.FromResult(new GeneratedEmbeddings<Embedding<float>>(asked.Select(text => new Embedding<float>(HashingEmbeddingGenerator.Embed(text)))));
        }

        public object? GetService(Type serviceType, object? serviceKey = null) => null;

        public void Dispose()
        {
        }
    }
}
