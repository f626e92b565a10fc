using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Runs;

/// <summary>Shared by the tests of one class: a host whose agent says the question back.</summary>
public sealed class EchoHost : IAsyncLifetime
{
    private RunsHost _host = null!;

    internal string Database { get; private set; } = string.Empty;

    /// <summary>The host, with an owner who has nothing yet.</summary>
    internal RunsHost Renewed => _host.Renew();

    public async ValueTask InitializeAsync()
    {
        Database = await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Api);
        _host = await RunsHost.StartAsync(Database, TestAgents.EchoAsync);
    }

    public ValueTask DisposeAsync() => _host.DisposeAsync();
}
