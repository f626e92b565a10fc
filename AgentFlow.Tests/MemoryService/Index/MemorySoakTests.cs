using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Index;

/// <summary>The short form of <c>soak memory</c>: the same histories, fewer of them, with a fixed seed.</summary>
public sealed class MemorySoakTests(QdrantFixture qdrant) : IClassFixture<QdrantFixture>
{
    private const int Seed = 20261121;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Truth_and_index_agree_after_crashes_and_outages_and_nothing_wrong_is_shown()
    {
        var result = await RunAsync(10, MemoryGuard.None, outageEvery: 5);
        Assert.Equal((0, 0), (result.WrongHits, result.Differences));
        Assert.True(result.Crashes > 0 && result.Outages == 2, $"{result}");
    }

    [Theory]
    [InlineData(nameof(MemoryGuard.OutboxInsert))]
    [InlineData(nameof(MemoryGuard.ReadJoin))]
    [InlineData(nameof(MemoryGuard.Tombstone))]
    public async Task Without_one_of_the_guards_it_is_noticed(string missing)
    {
        var result = await RunAsync(6, Enum.Parse<MemoryGuard>(missing), outageEvery: 0);
        Assert.True(result.WrongHits + result.Differences > 0, $"{result}");
    }

    private async Task<MemorySoakResult> RunAsync(int histories, MemoryGuard missing, int outageEvery)
    {
        qdrant.SkipWithoutServer();
        return await MemorySoak.RunAsync(await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Memory), qdrant.Server, histories, Seed, missing, outageEvery, Ct);
    }
}
