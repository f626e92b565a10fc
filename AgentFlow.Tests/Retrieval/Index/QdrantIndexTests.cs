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

    [Fact]
    public async Task What_left_an_optimized_segment_has_no_vectors_there_any_more()
    {
        var (index, owner) = ((QdrantIndex)await CreateAsync(new ListTruth()), Guid.CreateVersion7());
        var collection = (await index.Collections.ForWritesAsync(Ct))[0];
        var points = Enumerable.Range(0, 60).Select(i => Points.Of($"lighthouse number {i}")).ToList();
        await index.WriteAsync(owner, [.. points.Select(point => new IndexWrite.Put(point))], Ct);
        await fixture.Server.AskAsync(HttpMethod.Patch, $"/collections/{collection}", """{"optimizers_config": {"indexing_threshold": 1}}""", Ct);
        await Patience.UntilAsync(() => InfoAsync(collection), info => info.GetProperty("indexed_vectors_count").GetInt32() >= points.Count, "the optimizer");

        await index.WriteAsync(owner, [new IndexWrite.Remove(points[0].Id, 2), new IndexWrite.Put(points[1] with { Version = 2, Vector = default }), new IndexWrite.Put(points[2] with { Version = 2, Text = "" })], Ct);
        await index.WriteAsync(owner, [new IndexWrite.Remove(points[3].Id, 1)], Ct);

        var hits = (await index.SearchAsync(owner, Points.Query("lighthouse number"), Ct)).ToDictionary(hit => hit.Id);
        Assert.Equal(points.Skip(1).Select(point => point.Id).ToHashSet(), hits.Keys.ToHashSet());
        Assert.Null(hits[points[1].Id].Dense);
        Assert.Equal(0, hits[points[2].Id].Bm25);
        Assert.Equal((1L, true, true), (hits[points[3].Id].Version, hits[points[3].Id].Dense > 0, hits[points[3].Id].Bm25 > 0));
    }

    [Fact]
    public async Task No_condition_of_a_search_meets_a_tombstone()
    {
        var (index, owner) = ((QdrantIndex)await CreateAsync(new ListTruth()), Guid.CreateVersion7());
        var points = Enumerable.Range(0, 3).Select(i => Points.Of($"lighthouse number {i}")).ToList();
        await index.WriteAsync(owner, [.. points.Select(point => new IndexWrite.Put(point))], Ct);
        await index.WriteAsync(owner, [new IndexWrite.Remove(points[0].Id, 2), new IndexWrite.Remove(Guid.CreateVersion7(), 5)], Ct);

        var own = await fixture.Server.AskAsync(
            HttpMethod.Post, $"/collections/{index.Collections.Alias}/points/count", $$$"""{"exact": true, "filter": {"must": [{"key": "{{{QdrantPoints.Owner}}}", "match": {"value": "{{{owner}}}"}}]}}""", Ct);
        Assert.Equal((2, 4), (own.GetProperty("count").GetInt32(), await fixture.Server.CountAsync(index.Collections.Alias, Ct)));

        // What keeps late writes out is still known, and whose it was.
        await index.WriteAsync(owner, [new IndexWrite.Put(points[0] with { Version = 2 })], Ct);
        var entries = new List<IndexEntry>();
        await foreach (var page in index.ScanAsync(Ct))
            entries.AddRange(page.Where(entry => entry.Deleted));
        Assert.Equal(2, entries.Count);
        Assert.Contains(new IndexEntry(owner, points[0].Id, 2, Deleted: true), entries);
    }

    [Fact]
    public async Task Points_of_an_earlier_releases_form_are_neither_asked_nor_written_and_go_away_when_todays_serve()
    {
        fixture.SkipWithoutServer();
        var name = $"old{Guid.NewGuid():N}";
        var index = new QdrantIndex(fixture.Server.Client, fixture.Server.Options(name), HashingEmbeddingGenerator.Space, TimeProvider.System);
        var (earlier, owner, point) = ($"{name}.hashing-1-512.1", Guid.CreateVersion7(), Points.Of("an old lighthouse"));
        await fixture.Server.AskAsync(
            HttpMethod.Put, $"/collections/{earlier}", """{"vectors": {"dense": {"size": 512, "distance": "Dot"}}, "sparse_vectors": {"words": {"modifier": "idf"}}}""", Ct);
        await fixture.Server.AskAsync(
            HttpMethod.Put, $"/collections/{earlier}/points?wait=true", $$"""{"points": [{"id": "{{Guid.CreateVersion7()}}", "vector": {"dense": [{{string.Join(',', Enumerable.Repeat("0.04", 512))}}]}, "payload": {"owner": "{{owner}}", "version": 2, "deleted": true} }] }""", Ct);
        await fixture.Server.AskAsync(
            HttpMethod.Post, "/collections/aliases", $$"""{"actions": [{"create_alias": {"collection_name": "{{earlier}}", "alias_name": "{{name}}.hashing-1-512"} }] }""", Ct);
        await index.WriteAsync(owner, [new IndexWrite.Put(point)], Ct);
        Assert.Equal(1, await fixture.Server.CountAsync(earlier, Ct));

        await index.Collections.SwitchToAsync((await index.Collections.ForWritesAsync(Ct))[0], Ct);
        await index.Collections.DropOtherSpacesAsync(Ct);

        Assert.Equal([index.Collections.Alias], (await fixture.Server.AliasesAsync(name, Ct)).Keys);
        var dense = (await InfoAsync(index.Collections.Alias)).GetProperty("config").GetProperty("params").GetProperty("vectors").GetProperty("dense");
        Assert.Equal((0, "int8"), (dense.GetProperty("hnsw_config").GetProperty("m").GetInt32(), dense.GetProperty("quantization_config").GetProperty("scalar").GetProperty("type").GetString()));
        Assert.Equal(point.Id, Assert.Single(await index.SearchAsync(owner, Points.Query("an old lighthouse"), Ct)).Id);
    }

    [Theory]
    [InlineData(1)]
    [InlineData((1 << 24) - 1)]
    [InlineData(1 << 24)]
    [InlineData((7L << 24) + 5)]
    public async Task A_hit_tells_its_version_exactly(long version)
    {
        var (index, owner, point) = (await CreateAsync(new ListTruth()), Guid.CreateVersion7(), Points.Of("a lighthouse", version));
        await index.WriteAsync(owner, [new IndexWrite.Put(point)], Ct);
        Assert.Equal(version, (await OneAsync(index, owner, "lighthouse", point.Id))?.Version);
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

    private Task<System.Text.Json.JsonElement> InfoAsync(string collection) => fixture.Server.AskAsync(HttpMethod.Get, $"/collections/{collection}", null, Ct);

    private protected override async Task<IVectorIndex> CreateAsync(ListTruth truth)
    {
        fixture.SkipWithoutServer();
        var options = fixture.Server.Options($"t{Guid.NewGuid():N}") with { IndexedColumns = new HashSet<string> { "user_id", "categories" } };
        var index = new QdrantIndex(fixture.Server.Client, options, HashingEmbeddingGenerator.Space, TimeProvider.System);
        await index.Collections.SwitchToAsync((await index.Collections.ForWritesAsync(Ct))[0], Ct);
        return index;
    }
}
