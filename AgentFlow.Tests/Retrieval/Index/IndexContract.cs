using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Tests.Retrieval.Filters;

namespace AgentFlow.Tests.Retrieval.Index;

/// <summary>What every index must do; run on both implementations.</summary>
public abstract class IndexContract
{
    private static readonly string[] Texts =
    [
        "The boiler of the house was serviced in March", "Ana prefers green tea in the morning", "Order ABC-123_x was shipped to Lisbon", "Der Löffel liegt neben der Tasse",
        "東京に住んでいます", "ฉันชอบกินข้าวผัด", "Tea is grown in Assam and Darjeeling", "The green house has a red door", "Nothing of interest happened",
    ];

    private protected static CancellationToken Ct => TestContext.Current.CancellationToken;

    private protected abstract Task<IVectorIndex> CreateAsync(ListTruth truth);

    [Fact]
    public async Task What_was_written_is_found_by_words_and_by_similarity()
    {
        var (index, owner, points) = await FilledAsync();
        foreach (var (query, expected) in new[] { ("abc-123_x", 2), ("löffel", 3), ("LOFFEL", 3), ("住んで", 4), ("ข้าวผัด", 5), ("green teas", 1) })
        {
            var hits = await index.SearchAsync(owner, Points.Query(query), Ct);
            Assert.Equal(points[expected].Id, hits.MaxBy(hit => hit.Bm25)!.Id);
            Assert.Equal(points[expected].Id, hits.MaxBy(hit => hit.Dense)!.Id);
            Assert.All(hits, hit => Assert.NotNull(hit.Dense));
            Assert.All(hits, hit => Assert.NotNull(hit.Bm25));
        }
    }

    [Fact]
    public async Task Dense_scores_are_the_exact_dot_products()
    {
        var (index, owner, points) = await FilledAsync();
        var query = HashingEmbeddingGenerator.Embed("tea in the house");
        var hits = await index.SearchAsync(owner, new IndexQuery { Vector = query, Limit = 4 }, Ct);
        var expected = points.Select(point => (point.Id, Score: System.Numerics.Tensors.TensorPrimitives.Dot(point.Vector.Span, query))).OrderByDescending(each => each.Score).Take(4).ToList();
        Assert.Equal(expected.Select(each => each.Id).ToHashSet(), hits.Select(hit => hit.Id).ToHashSet());
        foreach (var (id, score) in expected)
            Assert.Equal(score, hits.Single(hit => hit.Id == id).Dense!.Value, 1e-5);
        Assert.All(hits, hit => Assert.Null(hit.Bm25));
    }

    [Fact]
    public async Task The_two_ways_are_united()
    {
        var (index, owner, _) = await FilledAsync();
        var lexical = await index.SearchAsync(owner, new IndexQuery { Text = "house door tea", Limit = 2 }, Ct);
        var dense = await index.SearchAsync(owner, new IndexQuery { Vector = HashingEmbeddingGenerator.Embed("shipped orders"), Limit = 2 }, Ct);
        var both = await index.SearchAsync(owner, new IndexQuery { Text = "house door tea", Vector = HashingEmbeddingGenerator.Embed("shipped orders"), Limit = 2 }, Ct);
        Assert.Equal(lexical.Concat(dense).Select(hit => hit.Id).ToHashSet(), both.Select(hit => hit.Id).ToHashSet());
        Assert.All(lexical, hit => Assert.Null(hit.Dense));
    }

    [Fact]
    public async Task An_owner_finds_nothing_of_another()
    {
        var (index, owner, points) = await FilledAsync();
        var stranger = Guid.CreateVersion7();
        Assert.Empty(await index.SearchAsync(stranger, Points.Query("green tea"), Ct));

        // An owner who can name another's points still can't remove them for good: the row of the truth decides, and the version guard holds.
        await index.WriteAsync(stranger, [new IndexWrite.Remove(points[1].Id, 1)], Ct);
        Assert.Contains(points[1].Id, (await index.SearchAsync(owner, Points.Query("green tea"), Ct)).Select(hit => hit.Id));
    }

    [Fact]
    public async Task An_older_version_never_replaces_a_newer_one()
    {
        var (index, owner, _) = await FilledAsync();
        var id = Guid.CreateVersion7();
        await index.WriteAsync(owner, [new IndexWrite.Put(Points.Of("zebra crossing", 3, id))], Ct);
        await index.WriteAsync(owner, [new IndexWrite.Put(Points.Of("giraffe enclosure", 2, id))], Ct);
        await index.WriteAsync(owner, [new IndexWrite.Remove(id, 2)], Ct);
        Assert.Equal(3, (await OneAsync(index, owner, "zebra", id))?.Version);
        Assert.Equal(0, (await OneAsync(index, owner, "giraffe", id))?.Bm25 ?? 0);
        await index.WriteAsync(owner, [new IndexWrite.Put(Points.Of("giraffe enclosure", 4, id))], Ct);
        Assert.Equal(4, (await OneAsync(index, owner, "giraffe", id))?.Version);
        Assert.Equal(0, (await OneAsync(index, owner, "zebra", id))?.Bm25 ?? 0);
    }

    [Fact]
    public async Task A_late_write_does_not_bring_a_deleted_point_back()
    {
        var (index, owner, points) = await FilledAsync();
        await index.WriteAsync(owner, [new IndexWrite.Remove(points[2].Id, 2), new IndexWrite.Remove(Guid.CreateVersion7(), 7)], Ct);
        Assert.Null(await OneAsync(index, owner, "abc-123_x", points[2].Id));
        foreach (var late in (long[])[1, 2])
        {
            await index.WriteAsync(owner, [new IndexWrite.Put(points[2] with { Version = late })], Ct);
            Assert.Null(await OneAsync(index, owner, "abc-123_x", points[2].Id));
        }

        // Restored by its owner: a newer version lives again.
        await index.WriteAsync(owner, [new IndexWrite.Put(points[2] with { Version = 3 })], Ct);
        Assert.Equal(3, (await OneAsync(index, owner, "abc-123_x", points[2].Id))?.Version);
    }

    [Fact]
    public async Task A_change_of_owner_holds_in_either_order()
    {
        var (index, owner, points) = await FilledAsync();
        var next = Guid.CreateVersion7();
        await index.SearchAsync(next, Points.Query("tea"), Ct);
        foreach (var (point, isRemovedFirst) in new[] { (points[1], true), (points[6], false) })
        {
            Func<Task> remove = () => index.WriteAsync(owner, [new IndexWrite.Remove(point.Id, 2)], Ct);
            Func<Task> put = () => index.WriteAsync(next, [new IndexWrite.Put(point with { Version = 2 })], Ct);
            await (isRemovedFirst ? remove : put)();
            await (isRemovedFirst ? put : remove)();
            Assert.Null(await OneAsync(index, owner, "tea", point.Id));
            Assert.Equal(2, (await OneAsync(index, next, "tea", point.Id))?.Version);
        }
    }

    [Fact]
    public async Task Writing_again_changes_nothing_and_writing_nothing_is_refused()
    {
        var (index, owner, points) = await FilledAsync();
        var before = await index.SearchAsync(owner, Points.Query("green tea"), Ct);
        await index.WriteAsync(owner, [.. points.Select(point => new IndexWrite.Put(point))], Ct);
        Assert.Equal(before.OrderBy(hit => hit.Id), (await index.SearchAsync(owner, Points.Query("green tea"), Ct)).OrderBy(hit => hit.Id));
        await Assert.ThrowsAsync<ArgumentException>(() => index.WriteAsync(owner, [], Ct));
        await Assert.ThrowsAsync<ArgumentException>(() => index.WriteAsync(owner, [new IndexWrite.Put(points[0] with { Vector = new float[3] })], Ct));
    }

    [Fact]
    public async Task Filters_narrow_both_ways()
    {
        var (index, owner, truth) = (await CreateAsync(new ListTruth()), Guid.CreateVersion7(), new Random(5));
        var records = Enumerable.Range(0, 120).Select(_ => FilterFixture.RandomRecord(truth)).ToList();
        var points = records.Select((record, i) => Points.Of($"{Texts[i % Texts.Length]} common") with { Id = record["id"].GetGuid(), Fields = record }).ToList();
        await index.SearchAsync(owner, Points.Query("load"), Ct);
        await index.WriteAsync(owner, [.. points.Select(point => new IndexWrite.Put(point))], Ct);
        for (var i = 0; i < 150; i++)
        {
            var json = FilterFixture.RandomFilter(truth).ToJsonString();
            var filter = FilterFixture.Parse(json);
            var expected = records.Where(record => AgentFlow.Retrieval.Filters.FilterMatch.Matches(filter, record)).Select(record => record["id"].GetGuid()).ToHashSet();
            var words = await index.SearchAsync(owner, new IndexQuery { Text = "common", Filter = filter, Limit = 1000 }, Ct);
            Assert.True(expected.SetEquals(words.Select(hit => hit.Id)), $"{json}: {expected.Count} expected, {words.Count} by words");
            var dense = await index.SearchAsync(owner, new IndexQuery { Vector = points[0].Vector, Filter = filter, Limit = 1000 }, Ct);
            Assert.True(expected.SetEquals(dense.Select(hit => hit.Id)), $"{json}: {expected.Count} expected, {dense.Count} by similarity");
        }
    }

    [Fact]
    public async Task Neighbouring_turns_come_with_their_hits()
    {
        var (index, owner) = (await CreateAsync(new ListTruth()), Guid.CreateVersion7());
        await index.SearchAsync(owner, Points.Query("load"), Ct);
        var at = new DateTimeOffset(2026, 5, 7, 10, 0, 0, TimeSpan.Zero);
        var turns = Enumerable.Range(0, 40).Select(i => Points.Of(
            i == 20 ? "needle" : $"straw {i}", turn: new Turn(i % 2 == 0 ? "even" : "odd", i, i % 4 == 0 ? "Ana" : null, at.AddMinutes(i)))).ToList();
        await index.WriteAsync(owner, [.. turns.Select(turn => new IndexWrite.Put(turn))], Ct);
        var hits = await index.SearchAsync(owner, Points.Query("needle", limit: 1) with { WithNeighbours = true }, Ct);
        Assert.Equal(new[] { 16, 18, 20, 22, 24 }.Select(i => turns[i].Id).ToHashSet(), hits.Select(hit => hit.Id).ToHashSet());
        var needle = hits.Single(hit => hit.Id == turns[20].Id);
        Assert.Equal(turns[20].Turn, needle.Turn);
        Assert.Equal(new TurnNeighbours(turns[16].Id, turns[18].Id, turns[22].Id, turns[24].Id), needle.Around);
    }

    [Fact]
    public async Task A_scan_shows_points_and_tombstones_and_a_purge_drops_only_tombstones()
    {
        var (index, owner, points) = await FilledAsync();
        await index.WriteAsync(owner, [new IndexWrite.Remove(points[0].Id, 2), new IndexWrite.Remove(points[1].Id, 5)], Ct);
        await index.PurgeAsync([new IndexEntry(owner, points[0].Id, 2, Deleted: true), new IndexEntry(owner, points[1].Id, 4, Deleted: true), new IndexEntry(owner, points[2].Id, 1, Deleted: true)], Ct);
        var expected = points.Skip(2).Select(point => new IndexEntry(owner, point.Id, 1)).Append(new IndexEntry(owner, points[1].Id, 5, Deleted: true)).ToHashSet();
        var actual = new HashSet<IndexEntry>();
        await foreach (var page in index.ScanAsync(Ct))
            actual.UnionWith(page.Where(entry => entry.OwnerId == owner));
        Assert.Equal(expected, actual);
    }

    private protected static async Task<IndexHit?> OneAsync(IVectorIndex index, Guid owner, string query, Guid id) =>
        (await index.SearchAsync(owner, Points.Query(query), Ct)).SingleOrDefault(hit => hit.Id == id);

    private async Task<(IVectorIndex Index, Guid Owner, List<IndexPoint> Points)> FilledAsync()
    {
        var (owner, truth) = (Guid.CreateVersion7(), new ListTruth());
        var points = Texts.Select(text => Points.Of(text)).ToList();
        foreach (var point in points)
            truth.Put(owner, point);
        var index = await CreateAsync(truth);
        await index.SearchAsync(owner, Points.Query("load"), Ct);
        await index.WriteAsync(owner, [.. points.Select(point => new IndexWrite.Put(point))], Ct);
        return (index, owner, points);
    }
}
