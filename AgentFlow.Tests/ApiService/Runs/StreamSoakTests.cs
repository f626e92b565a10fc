using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Runs;

public sealed class StreamSoakTests
{
    /// <summary>In full: <c>dotnet run -c Release --project AgentFlow.Benchmarks -- soak streams</c>.</summary>
    [Fact]
    public async Task Clients_that_are_cut_and_an_api_that_is_killed_lose_repeat_and_reorder_nothing()
    {
        var result = await StreamSoak.RunAsync(await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Api), cuts: 30, seed: 20261120, TestContext.Current.CancellationToken);

        TestContext.Current.TestOutputHelper?.WriteLine(result.ToString());
        Assert.True(result.IsSound, result.ToString());
        Assert.True(result is { Cuts: >= 30, Kills: >= 3, Completed: > 0, Interrupted: > 0 }, result.ToString());
    }
}
