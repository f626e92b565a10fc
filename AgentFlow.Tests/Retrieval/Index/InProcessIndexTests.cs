using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;

namespace AgentFlow.Tests.Retrieval.Index;

public sealed class InProcessIndexTests : IndexContract
{
    [Fact]
    public async Task An_owner_is_loaded_once_however_many_ask()
    {
        var (truth, owner, gate) = (new ListTruth(), Guid.CreateVersion7(), new TaskCompletionSource());
        truth.Put(owner, Points.Of("green tea"));
        truth.WhileLoading = () => gate.Task;
        var index = NewIndex(truth);
        var searches = Enumerable.Range(0, 32).Select(_ => index.SearchAsync(owner, Points.Query("tea"), Ct)).ToList();
        gate.SetResult();
        Assert.All(await Task.WhenAll(searches), hits => Assert.Single(hits));
        Assert.Equal(1, truth.Loads);
    }

    [Fact]
    public async Task A_change_during_the_load_is_not_lost()
    {
        var (truth, owner, gate) = (new ListTruth(), Guid.CreateVersion7(), new TaskCompletionSource());
        var (edited, deleted, created) = (Points.Of("old words"), Points.Of("soon gone"), Points.Of("brand new"));
        truth.Put(owner, edited);
        truth.Put(owner, deleted);
        var reading = new TaskCompletionSource();
        truth.WhileLoading = () =>
        {
            reading.SetResult();
            return gate.Task;
        };
        var index = NewIndex(truth);
        var search = index.SearchAsync(owner, Points.Query("words gone new"), Ct);
        await reading.Task;
        await index.WriteAsync(owner, [new IndexWrite.Put(Points.Of("fresh words", 2, edited.Id)), new IndexWrite.Remove(deleted.Id, 2), new IndexWrite.Put(created)], Ct);
        gate.SetResult();
        Assert.Equal(new[] { (edited.Id, 2L), (created.Id, 1L) }.ToHashSet(), (await search).Select(hit => (hit.Id, hit.Version)).ToHashSet());
    }

    [Fact]
    public async Task What_was_loaded_is_the_index_s_own_when_it_hands_the_points_back()
    {
        var (truth, owner) = (new ListTruth(), Guid.CreateVersion7());
        for (var i = 0; i < 700; i++)
            truth.Put(owner, Points.Of($"green tea {i}"));
        var hits = await NewIndex(truth).SearchAsync(owner, Points.Query("green tea 7") with { Limit = 700 }, Ct);
        Assert.Equal(700, hits.Count);
        Assert.All(hits, hit => Assert.InRange(hit.Dense!.Value, 0.1, 1.001));
    }

    [Fact]
    public async Task A_load_that_failed_is_tried_again()
    {
        var (truth, owner) = (new ListTruth(), Guid.CreateVersion7());
        truth.Put(owner, Points.Of("green tea"));
        truth.WhileLoading = () => throw new TimeoutException();
        var index = NewIndex(truth);
        await Assert.ThrowsAsync<TimeoutException>(() => index.SearchAsync(owner, Points.Query("tea"), Ct));
        truth.WhileLoading = () => Task.CompletedTask;
        Assert.Single(await index.SearchAsync(owner, Points.Query("tea"), Ct));
    }

    [Fact]
    public async Task Owners_that_were_not_asked_for_longest_make_room()
    {
        var truth = new ListTruth();
        var owners = Enumerable.Range(0, 6).Select(_ => Guid.CreateVersion7()).ToList();
        foreach (var owner in owners)
        {
            for (var i = 0; i < 1500; i++)
                truth.Put(owner, Points.Of($"memory {i} of {owner}"));
        }

        var index = new InProcessIndex(truth, HashingEmbeddingGenerator.Space.Dimensions, new InProcessIndexOptions { MaxBytes = 16 << 20 });
        foreach (var owner in owners)
            Assert.Equal(10, (await index.SearchAsync(owner, new IndexQuery { Text = "memory", Limit = 10 }, Ct)).Count);
        Assert.InRange(index.Bytes, 1 << 20, 16 << 20);
        await index.SearchAsync(owners[^1], Points.Query("memory"), Ct);
        Assert.Equal(6, truth.Loads);
        await index.SearchAsync(owners[0], Points.Query("memory"), Ct);
        Assert.Equal(7, truth.Loads);
    }

    [Fact]
    public async Task The_byte_scan_finds_exactly_what_all_dot_products_find()
    {
        var (truth, owner, random) = (new ListTruth(), Guid.CreateVersion7(), new Random(3));
        var index = new InProcessIndex(truth, 64, new InProcessIndexOptions());
        await index.SearchAsync(owner, new IndexQuery { Text = "load" }, Ct);
        var points = Enumerable.Range(0, 20_000).Select(i => Points.Of("x") with { Vector = Unit(random, isSparse: i % 2 == 0) }).ToList();
        foreach (var batch in points.Chunk(5_000))
            await index.WriteAsync(owner, [.. batch.Select(point => new IndexWrite.Put(point))], Ct);
        for (var i = 0; i < 50; i++)
        {
            var query = Unit(random, isSparse: i % 3 == 0);
            var hits = await index.SearchAsync(owner, new IndexQuery { Vector = query, Limit = 50 }, Ct);
            var expected = points.Select(point => (point.Id, Score: System.Numerics.Tensors.TensorPrimitives.Dot(point.Vector.Span, query))).OrderByDescending(each => each.Score).Take(50).ToList();
            Assert.Equal(expected.Select(each => each.Score), hits.Select(hit => (float)hit.Dense!.Value).OrderDescending());
        }
    }

    [Fact]
    public async Task Thousands_of_changes_leave_what_a_new_load_would_find()
    {
        var (truth, owner, random) = (new ListTruth(), Guid.CreateVersion7(), new Random(11));
        var index = NewIndex(truth);
        await index.SearchAsync(owner, Points.Query("load"), Ct);
        var ids = Enumerable.Range(0, 300).Select(_ => Guid.CreateVersion7()).ToArray();
        var versions = new long[ids.Length];
        for (var round = 0; round < 400; round++)
        {
            var writes = new List<IndexWrite>();
            for (var i = 0; i < 20; i++)
            {
                var which = random.Next(ids.Length);
                var version = ++versions[which];
                if (random.Next(4) == 0)
                {
                    truth.Delete(owner, ids[which], version);
                    writes.Add(new IndexWrite.Remove(ids[which], version));
                }
                else
                {
                    var point = Points.Of($"word{random.Next(50)} word{random.Next(50)} common", version, ids[which], turn: new Turn($"s{which % 5}", which));
                    truth.Put(owner, point);
                    writes.Add(new IndexWrite.Put(point));
                }
            }

            await index.WriteAsync(owner, [.. writes.OrderBy(_ => random.Next())], Ct);
        }

        var fresh = NewIndex(truth);
        for (var word = 0; word < 50; word++)
        {
            var query = Points.Query($"word{word} common", limit: 1000) with { WithNeighbours = true };
            var expected = (await fresh.SearchAsync(owner, query, Ct)).OrderBy(hit => hit.Id).ToList();
            var actual = (await index.SearchAsync(owner, query, Ct)).OrderBy(hit => hit.Id).ToList();
            Assert.Equal(expected.Select(hit => (hit.Id, hit.Version, hit.Around)), actual.Select(hit => (hit.Id, hit.Version, hit.Around)));
            Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First.Bm25!.Value, pair.Second.Bm25!.Value, 1e-4));
        }
    }

    [Fact]
    public async Task Readers_never_see_half_of_a_batch()
    {
        var (truth, owner) = (new ListTruth(), Guid.CreateVersion7());
        var ids = Enumerable.Range(0, 8).Select(_ => Guid.CreateVersion7()).ToArray();
        var index = NewIndex(truth);
        await index.SearchAsync(owner, Points.Query("load"), Ct);
        await index.WriteAsync(owner, [.. ids.Select(id => new IndexWrite.Put(Points.Of("common", 1, id)))], Ct);
        using var done = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 2).Select(_ => Task.Run(async () =>
        {
            while (!done.IsCancellationRequested)
            {
                var hits = await index.SearchAsync(owner, new IndexQuery { Text = "common" }, Ct);
                Assert.Equal(ids.Length, hits.Count);
                Assert.Single(hits.Select(hit => hit.Version).Distinct());
            }
        }, Ct)).ToList();
        for (var version = 2; version < 1_500; version++)
            await index.WriteAsync(owner, [.. ids.Select(id => new IndexWrite.Put(Points.Of("common", version, id)))], Ct);
        await done.CancelAsync();
        await Task.WhenAll(readers);
    }

    private protected override Task<IVectorIndex> CreateAsync(ListTruth truth) => Task.FromResult<IVectorIndex>(NewIndex(truth));

    private static InProcessIndex NewIndex(ListTruth truth) => new(truth, HashingEmbeddingGenerator.Space.Dimensions, new InProcessIndexOptions());

    private static float[] Unit(Random random, bool isSparse)
    {
        var vector = new float[64];
        for (var i = 0; i < vector.Length; i++)
            vector[i] = isSparse && random.Next(8) > 0 ? 0 : (float)(random.NextDouble() - 0.5);
        vector[0] += 0.01f;
        var norm = System.Numerics.Tensors.TensorPrimitives.Norm<float>(vector);
        System.Numerics.Tensors.TensorPrimitives.Divide(vector, norm, vector);
        return vector;
    }
}
