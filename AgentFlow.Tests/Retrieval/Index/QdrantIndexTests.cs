using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.Qdrant;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Retrieval.Index;

public sealed class QdrantIndexTests(QdrantFixture fixture) : IndexContract, IClassFixture<QdrantFixture>
{
    [Fact]
    public async Task A_server_that_is_gone_is_a_clear_failure()
    {
        fixture.SkipWithoutServer();
        var options = fixture.Server.Options("gone") with { Endpoint = new Uri("http://127.0.0.1:9"), ApiKey = "secret-key" };
        var index = new QdrantIndex(fixture.Server.Client, options, HashingEmbeddingGenerator.Space, TimeProvider.System);
        var error = await Assert.ThrowsAsync<QdrantException>(() => index.SearchAsync(Guid.CreateVersion7(), Points.Query("x"), Ct));
        Assert.DoesNotContain("secret-key", error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_wrong_key_is_refused_by_the_server()
    {
        fixture.SkipWithoutServer();
        var index = new QdrantIndex(fixture.Server.Client, fixture.Server.Options("key") with { ApiKey = "wrong" }, HashingEmbeddingGenerator.Space, TimeProvider.System);
        Assert.Equal(System.Net.HttpStatusCode.Unauthorized, (await Assert.ThrowsAsync<QdrantException>(() => index.ProbeAsync(Ct))).Status);
    }

    [Theory]
    [InlineData("Endpoint=http://localhost:6333;Key=abc", "http://localhost:6333/", "abc")]
    [InlineData("endpoint=https://q.example:443/", "https://q.example/", null)]
    public void The_connection_string_is_read(string text, string endpoint, string? key)
    {
        var options = QdrantOptions.Parse(text, "x");
        Assert.Equal((new Uri(endpoint), key), (options.Endpoint, options.ApiKey));
    }

    [Theory]
    [InlineData("")]
    [InlineData("http://localhost:6333")]
    [InlineData("Endpoint=bolt://x;Key=topsecret")]
    [InlineData("Endpoint=;Key=topsecret;;=")]
    public void Another_form_is_refused_without_showing_the_key(string text)
    {
        var error = Assert.Throws<FormatException>(() => QdrantOptions.Parse(text, "x"));
        Assert.Contains("Endpoint=http://host:6333", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("topsecret", error.ToString(), StringComparison.Ordinal);
    }

    private protected override async Task<IVectorIndex> CreateAsync(ListTruth truth)
    {
        fixture.SkipWithoutServer();
        var index = new QdrantIndex(fixture.Server.Client, fixture.Server.Options($"t{Guid.NewGuid():N}"), HashingEmbeddingGenerator.Space, TimeProvider.System);
        await index.Collections.SwitchToAsync((await index.Collections.ForWritesAsync(Ct))[0], Ct);
        return index;
    }
}
