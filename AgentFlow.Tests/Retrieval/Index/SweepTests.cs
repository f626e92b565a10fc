using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.Qdrant;
using AgentFlow.Retrieval.Index.Upkeep;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Retrieval.Index;

public sealed class SweepTests(QdrantFixture fixture) : IClassFixture<QdrantFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_sweep_finds_every_kind_of_difference_and_repairs_it()
    {
        var (truth, index, owner) = await EmptyAsync();
        var (right, missing, stale, orphan, ahead, deleted) = (Points.Of("right"), Points.Of("missing"), Points.Of("stale", 2), Points.Of("orphan"), Points.Of("ahead"), Points.Of("deleted"));
        foreach (var point in new[] { right, missing, stale, ahead })
            truth.Put(owner, point);
        truth.Delete(owner, deleted.Id, 2);
        await index.WriteAsync(owner, [.. new[] { right, stale with { Version = 1 }, orphan, ahead with { Version = 9 }, deleted }.Select(point => new IndexWrite.Put(point))], Ct);
        var sweep = new Sweep(truth, SweepTarget.Of(index), TimeSpan.Zero);
        Assert.Equal(new SweepReport(Compared: 6, Missing: 1, Stale: 2, Orphaned: 2, Purged: 0), await sweep.RunAsync(Ct));
        Assert.Equal(0, (await sweep.RunAsync(Ct)).Repaired);
        var hits = await index.SearchAsync(owner, Points.Query("right missing stale orphan ahead deleted"), Ct);
        Assert.Equal(new[] { (right.Id, 1L), (missing.Id, 1L), (stale.Id, 2L), (ahead.Id, 1L) }.ToHashSet(), hits.Select(hit => (hit.Id, hit.Version)).ToHashSet());

        // The row of the deleted one is purged; its tombstone follows once two sweeps have seen it.
        truth.Purge(deleted.Id);
        Assert.Equal(0, (await sweep.RunAsync(Ct)).Purged);
        Assert.Equal(1, (await sweep.RunAsync(Ct)).Purged);
    }

    [Fact]
    public async Task A_rebuild_serves_all_the_time_and_misses_no_write()
    {
        var (truth, index, owner) = await EmptyAsync();
        var points = Enumerable.Range(0, 700).Select(i => Points.Of($"common {i}")).ToList();
        foreach (var point in points)
            truth.Put(owner, point);
        foreach (var batch in points.Chunk(256))
            await index.WriteAsync(owner, [.. batch.Select(point => new IndexWrite.Put(point))], Ct);
        var before = await index.Collections.CurrentAsync(Ct);
        var rebuild = new Rebuild(truth, index, TimeProvider.System).RunAsync(isAlone: true, Ct);
        var (searches, version) = (0, 1L);
        while (!rebuild.IsCompleted)
        {
            version++;
            var changed = points[searches % points.Count] with { Version = version };
            truth.Put(owner, changed);
            await index.WriteAsync(owner, [new IndexWrite.Put(changed)], Ct);
            Assert.Equal(50, (await SearchAsync(index, owner)).Count);
            searches++;
        }

        Assert.Equal(700, await rebuild);
        Assert.NotEqual(before, await index.Collections.CurrentAsync(Ct));
        Assert.Single(await index.Collections.ListAsync(Ct));
        Assert.True(searches > 0);
        Assert.Equal(0, (await new Sweep(truth, SweepTarget.Of(index), TimeSpan.Zero).RunAsync(Ct)).Repaired);
    }

    /// <summary>A search that is under way while the old collection is dropped is asked again, as the services do by their exact index.</summary>
    private static async Task<IReadOnlyList<IndexHit>> SearchAsync(QdrantIndex index, Guid owner)
    {
        var query = new IndexQuery { Text = "common", Limit = 50 };
        try
        {
            return await index.SearchAsync(owner, query, Ct);
        }
        catch (QdrantException error) when (error.Status is System.Net.HttpStatusCode.NotFound or System.Net.HttpStatusCode.InternalServerError)
        {
            return await index.SearchAsync(owner, query, Ct);
        }
    }

    private async Task<(ListTruth Truth, QdrantIndex Index, Guid Owner)> EmptyAsync()
    {
        fixture.SkipWithoutServer();
        var index = new QdrantIndex(fixture.Server.Client, fixture.Server.Options($"s{Guid.NewGuid():N}"), HashingEmbeddingGenerator.Space, TimeProvider.System);
        await index.Collections.SwitchToAsync((await index.Collections.ForWritesAsync(Ct))[0], Ct);
        return (new ListTruth(), index, Guid.CreateVersion7());
    }
}
