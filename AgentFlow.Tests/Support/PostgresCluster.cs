using System.Collections.Concurrent;
using System.Reflection;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

[assembly: AssemblyFixture(typeof(AgentFlow.Tests.Support.PostgresCluster))]

namespace AgentFlow.Tests.Support;

/// <summary>
/// One private PostgreSQL cluster for the whole test run; each test class makes databases of its own in it. A service's steps run once, in a
/// database that is then copied: a copy costs a tenth of them.
/// </summary>
public sealed class PostgresCluster : IAsyncLifetime
{
    public const string Api = "agentflow-api";
    public const string Memory = "agentflow-memory";

    private static PostgresCluster? shared;
    private readonly ConcurrentDictionary<string, Lazy<Task<string>>> templates = new(StringComparer.Ordinal);
    private PrivatePostgres? server;

    /// <summary>For fixtures that xunit does not hand the cluster to.</summary>
    public static PostgresCluster Shared => shared ?? throw new InvalidOperationException("The cluster is started by the test run.");

    private PrivatePostgres Server => server ?? throw new InvalidOperationException("The cluster is started by the test run.");

    public string AdminConnectionString(string database) => Server.AdminConnectionString(database);

    /// <summary>A database with a name of its own. Returns the administrator's connection string for it.</summary>
    /// <param name="service">Whose tables it has already: <see cref="Api"/> or <see cref="Memory"/>; null: it is empty.</param>
    public async Task<string> CreateDatabaseAsync(string? service = null)
    {
        var template = service is null ? null : await templates.GetOrAdd(service, name => new(() => MigrateAsync(name))).Value;
        return await Server.CreateDatabaseAsync(TestContext.Current.CancellationToken, template);
    }

    public async ValueTask InitializeAsync()
    {
        server = await PrivatePostgres.StartAsync();
        shared = this;
    }

    public ValueTask DisposeAsync() => server?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task<string> MigrateAsync(string service)
    {
        var empty = new NpgsqlConnectionStringBuilder(await Server.CreateDatabaseAsync(CancellationToken.None));
        var schema = Assembly.Load(service == Api ? "AgentFlow.ApiService" : "AgentFlow.MemoryService");
        var migrator = new Migrator(
            new DatabaseTarget(empty, service, new PostgresOptions()), [.. Migration.Load(typeof(Migrator).Assembly), .. Migration.Load(schema)], NullLogger<Migrator>.Instance);
        await migrator.RunAsync(CancellationToken.None);
        return empty.Database!;
    }
}
