using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>
/// Where a service's tables live and as whom it connects. The configured connection string belongs to an administrator and is used
/// only to set things up; the service logs in as a role of its own whose password is derived from the administrator's, so that
/// every replica knows it and nothing more has to be kept.
/// </summary>
internal sealed class DatabaseTarget
{
    public DatabaseTarget(NpgsqlConnectionStringBuilder configured, string connectionName, PostgresOptions options)
    {
        Schema = connectionName.Replace('-', '_');
        Login = $"{Schema}_service";
        Database = string.IsNullOrEmpty(configured.Database) ? Schema : configured.Database;
        LoginPassword = string.IsNullOrEmpty(configured.Password) ? null : DerivePassword(configured.Password, Login);
        var admin = new NpgsqlConnectionStringBuilder(configured.ConnectionString) { Database = Database, Pooling = false, ApplicationName = $"{connectionName} set-up" };
        AdminConnectionString = admin.ConnectionString;
        var service = new NpgsqlConnectionStringBuilder(configured.ConnectionString)
        {
            Database = Database,
            Username = Login,
            Password = LoginPassword,
            SearchPath = Schema,
            ApplicationName = connectionName,
            // The service always pools, whatever the administrator's string says for its own short calls.
            Pooling = true,
            MaxPoolSize = options.MaxPoolSize,
            MinPoolSize = 0,
            Timeout = Math.Max(1, (int)options.ConnectionTimeout.TotalSeconds),
            CommandTimeout = Math.Max(1, (int)options.CommandTimeout.TotalSeconds),
            // Every setting is local to its transaction, so there is nothing to reset.
            NoResetOnClose = true,
            MaxAutoPrepare = 200,
            AutoPrepareMinUsages = 2,
            KeepAlive = 30,
        };
        PooledConnectionString = service.ConnectionString;
        service.Pooling = false;
        ServiceConnectionString = service.ConnectionString;
    }

    public string Schema { get; }

    public string Database { get; }

    public string Login { get; }

    /// <summary>Null where the server trusts its callers without a password.</summary>
    public string? LoginPassword { get; }

    public string AdminConnectionString { get; }

    public string PooledConnectionString { get; }

    /// <summary>The service's login without a pool: for the listening connection and for looking before migrating.</summary>
    public string ServiceConnectionString { get; }

    /// <summary>Asked as administrator: to try the login would leave a failed sign-in in the server's log at every first start.</summary>
    public async Task<bool> HasLoginAsync(CancellationToken ct)
    {
        await using var source = DataSources.Create(AdminConnectionString);
        await using var admin = await source.OpenConnectionAsync(ct);
        await using var command = new NpgsqlCommand("select exists (select from pg_roles where rolname = $1)", admin) { Parameters = { new() { Value = Login } } };
        return await command.ExecuteScalarAsync(ct) is true;
    }

    public async Task CreateDatabaseIfMissingAsync(CancellationToken ct)
    {
        try
        {
            await using var source = DataSources.Create(AdminConnectionString);
            await using var probe = await source.OpenConnectionAsync(ct);
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.InvalidCatalogName)
        {
            var maintenance = new NpgsqlConnectionStringBuilder(AdminConnectionString) { Database = "postgres" };
            await using var source = DataSources.Create(maintenance.ConnectionString);
            await using var connection = await source.OpenConnectionAsync(ct);
            try
            {
                await Migrator.ExecuteAsync(connection, $"create database {Quote(Database)} encoding 'UTF8' template template0", ct);
            }
            catch (PostgresException race) when (race.SqlState is PostgresErrorCodes.DuplicateDatabase or PostgresErrorCodes.UniqueViolation)
            {
                // Another process that starts now has made it.
            }
        }
    }

    internal static string Quote(string identifier) => $"\"{identifier.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private static string DerivePassword(string adminPassword, string login) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(adminPassword), Encoding.UTF8.GetBytes($"agentflow login {login}")));
}
