using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Access;

/// <summary>The short form of <c>soak canaries</c>.</summary>
public sealed class CanaryTests
{
    [Fact]
    public async Task Nobody_ever_sees_the_canary_of_another()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var memory = await BareMemory.StartAsync(await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Memory), ct);
        var (foreign, own, answers) = await Canaries.RunAsync(memory, users: 40, searches: 200, seed: 20261121, ct);
        Assert.Equal((0, 20, 200), (foreign, own, answers));
    }
}
