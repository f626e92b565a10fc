using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentFlow.Tests.ServiceDefaults.Postgres;

public sealed class MigratorTests
{
    [Fact]
    public async Task Replicas_that_start_together_migrate_once()
    {
        var ct = TestContext.Current.CancellationToken;
        var connectionString = await PostgresCluster.Shared.CreateDatabaseAsync();
        var hosts = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => FoundationHost.StartAsync(connectionString: connectionString)));
        var rows = await hosts[0].Database.AsWorker().QueryAsync("select name from schema_migrations", [], row => row.GetString(0), ct);
        Assert.Equal(rows.Distinct(), rows);
        Assert.Contains("0001_foundation", rows);
        foreach (var host in hosts)
        {
            await host.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_database_that_does_not_exist_is_created()
    {
        var ct = TestContext.Current.CancellationToken;
        var name = $"made_{Guid.NewGuid():N}";
        await using var host = await FoundationHost.StartAsync(connectionString: PostgresCluster.Shared.AdminConnectionString(name));
        Assert.Equal([name], await host.Database.AsWorker().QueryAsync("select current_database()::text", [], row => row.GetString(0), ct));
    }

    [Fact]
    public async Task An_edited_migration_stops_the_start()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync();
        await using var admin = new NpgsqlConnection(host.ConnectionString);
        await admin.OpenAsync(ct);
        await using var edit = new NpgsqlCommand("update foundation.schema_migrations set checksum = 'other' where name = '0001_foundation'", admin);
        await edit.ExecuteNonQueryAsync(ct);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => host.Services.GetRequiredService<Migrator>().RunAsync(ct));
        Assert.Contains("0001_foundation", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Migration_numbers_are_unique_in_each_assembly()
    {
        foreach (var assembly in (System.Reflection.Assembly[])[typeof(Migrator).Assembly, System.Reflection.Assembly.Load("AgentFlow.ApiService"), System.Reflection.Assembly.Load("AgentFlow.MemoryService")])
        {
            var numbers = Migration.Load(assembly).Select(migration => migration.Number).ToList();
            Assert.Equal(numbers.Distinct(), numbers);
        }
    }
}
