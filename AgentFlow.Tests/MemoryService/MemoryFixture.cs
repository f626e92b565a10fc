using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService;

/// <summary>One memory service for the tests of a class; each test takes an owner of its own.</summary>
public sealed class MemoryFixture : IAsyncLifetime
{
    public MemoryHost Host { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Host = await MemoryHost.StartAsync();

    public ValueTask DisposeAsync() => Host.DisposeAsync();
}
