using AgentFlow.Tests.Retrieval.Index.Histories;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Retrieval.Index;

/// <summary>A short, seeded run of what <c>AgentFlow.Benchmarks -- soak index</c> does 1,000 times.</summary>
public sealed class IndexHistoriesTests(QdrantFixture fixture) : IClassFixture<QdrantFixture>
{
    private const int Seed = 20261121;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Qdrant_ends_as_the_truth_is_and_shows_nothing_wrong()
    {
        fixture.SkipWithoutServer();
        var result = await IndexHistories.OnQdrantAsync(fixture.Server, count: 10, Seed, MissingGuard.None, withCrashes: true, Ct);
        Assert.Equal((0, 0), (result.WrongHits, result.Differences));
        Assert.True(result.Searches > 100);
    }

    [Theory]
    [InlineData(MissingGuard.OutboxInsert)]
    [InlineData(MissingGuard.ReadJoin)]
    [InlineData(MissingGuard.Tombstone)]
    public async Task A_missing_guard_is_noticed_on_Qdrant(MissingGuard missing)
    {
        fixture.SkipWithoutServer();
        var result = await IndexHistories.OnQdrantAsync(fixture.Server, count: 4, Seed, missing, withCrashes: false, Ct);
        Assert.True(result.WrongHits + result.Differences > 0);
    }

    [Fact]
    public async Task The_in_process_index_ends_as_the_truth_is_and_shows_nothing_wrong()
    {
        var result = await IndexHistories.InProcessAsync(count: 40, Seed, MissingGuard.None, Ct);
        Assert.Equal((0, 0), (result.WrongHits, result.Differences));
    }

    [Theory]
    [InlineData(MissingGuard.OutboxInsert)]
    [InlineData(MissingGuard.ReadJoin)]
    [InlineData(MissingGuard.Tombstone)]
    public async Task A_missing_guard_is_noticed_in_process(MissingGuard missing)
    {
        var result = await IndexHistories.InProcessAsync(count: 20, Seed, missing, Ct);
        Assert.True(result.WrongHits + result.Differences > 0);
    }
}
