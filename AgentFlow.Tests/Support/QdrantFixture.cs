namespace AgentFlow.Tests.Support;

/// <summary>One server for the tests of a class; without a binary they are skipped and say so.</summary>
public sealed class QdrantFixture : IAsyncLifetime
{
    private QdrantServer? server;

    public QdrantServer Server => server ?? throw new InvalidOperationException("There is no Qdrant server.");

    public async ValueTask InitializeAsync()
    {
        if (QdrantServer.FindBinary() is not null)
            server = await QdrantServer.StartAsync();
    }

    public void SkipWithoutServer() => Assert.SkipWhen(server is null, QdrantServer.Missing);

    public ValueTask DisposeAsync() => server?.DisposeAsync() ?? ValueTask.CompletedTask;
}
