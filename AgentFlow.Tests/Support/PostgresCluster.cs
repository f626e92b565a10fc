[assembly: AssemblyFixture(typeof(AgentFlow.Tests.Support.PostgresCluster))]

namespace AgentFlow.Tests.Support;

/// <summary>One private PostgreSQL cluster for the whole test run; each test class makes databases of its own in it.</summary>
public sealed class PostgresCluster : IAsyncLifetime
{
    private static PostgresCluster? shared;
    private PrivatePostgres? server;

    /// <summary>For fixtures that xunit does not hand the cluster to.</summary>
    public static PostgresCluster Shared => shared ?? throw new InvalidOperationException("The cluster is started by the test run.");

    private PrivatePostgres Server => server ?? throw new InvalidOperationException("The cluster is started by the test run.");

    public string AdminConnectionString(string database) => Server.AdminConnectionString(database);

    /// <summary>An empty database with a name of its own. Returns the administrator's connection string for it.</summary>
    public Task<string> CreateDatabaseAsync() => Server.CreateDatabaseAsync(TestContext.Current.CancellationToken);

    public async ValueTask InitializeAsync()
    {
        server = await PrivatePostgres.StartAsync();
        shared = this;
    }

    public ValueTask DisposeAsync() => server?.DisposeAsync() ?? ValueTask.CompletedTask;
}
