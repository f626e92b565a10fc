using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.Tests.ServiceDefaults.Queue;

public sealed class RetryDelayTests
{
    [Theory]
    [InlineData(1, 0, 0.5)]
    [InlineData(1, 1, 1)]
    [InlineData(4, 1, 8)]
    [InlineData(1_000, 1, 300)]
    public void The_pause_doubles_up_to_five_minutes(int attempt, double random, double seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), RetryDelay.After(TimeSpan.FromSeconds(1), attempt, random));
}
