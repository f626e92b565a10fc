using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>
/// Brings a database up to date before the service listens: database, roles, schema, then every step that has not run, each in a
/// transaction of its own, all under one advisory lock so that several replicas starting together migrate once.
/// </summary>
internal sealed partial class Migrator(DatabaseTarget target, IReadOnlyList<Migration> migrations, ILogger<Migrator> logger)
{
    private const long LockKey = 0x61676e74666c6f77; // "agntflow"

    public async Task RunAsync(CancellationToken ct)
    {
        if (await IsCurrentAsync(ct))
        {
            return;
        }

        await target.CreateDatabaseIfMissingAsync(ct);
        await using var source = DataSources.Create(target.AdminConnectionString);
        await using var admin = await Bootstrap.OpenAsync(source, target, LockKey, ct);
        await ExecuteAsync(admin, $"set role {Roles.Owner}", ct);
        await ExecuteAsync(admin, $"set search_path to {target.Schema}", ct);
        await ExecuteAsync(admin, CreateLedger, ct);
        var applied = await ReadLedgerAsync(admin, ct);
        foreach (var migration in Pending(applied))
        {
            await ApplyAsync(admin, migration, ct);
        }
    }

    /// <summary>The steps of this build that the database has not seen. Throws when one that has run was edited since.</summary>
    internal IEnumerable<Migration> Pending(IReadOnlyDictionary<(string Source, int Number), string> applied)
    {
        foreach (var migration in migrations)
        {
            if (!applied.TryGetValue((migration.Source, migration.Number), out var checksum))
            {
                yield return migration;
            }
            else if (checksum != migration.Checksum)
            {
                throw new InvalidOperationException(
                    $"Migration {migration.Source}/{migration.Name} ran with another text than this build has. Restore the file, and put the change into a new migration.");
            }
        }
    }

    private async Task<bool> IsCurrentAsync(CancellationToken ct)
    {
        try
        {
            if (!await target.HasLoginAsync(ct))
            {
                return false;
            }

            await using var source = DataSources.Create(target.ServiceConnectionString);
            await using var connection = await source.OpenConnectionAsync(ct);
            await ExecuteAsync(connection, $"set role {Roles.App}", ct);
            var applied = await ReadLedgerAsync(connection, ct);
            return !Pending(applied).Any();
        }
        catch (PostgresException error)
        {
            // No such database, role, password, table or right: the administrator's connection sets it up or says why not.
            LogSetUpNeeded(error.SqlState);
            return false;
        }
        catch (NpgsqlException error) when (error.InnerException is not (System.Net.Sockets.SocketException or TimeoutException or IOException))
        {
            // The server asks for a password that the login can not have yet.
            LogSetUpNeeded(error.SqlState ?? "no password");
            return false;
        }
    }

    private async Task ApplyAsync(NpgsqlConnection admin, Migration migration, CancellationToken ct)
    {
        await using var transaction = await admin.BeginTransactionAsync(ct);
        await ExecuteAsync(admin, migration.Sql, ct);
        await using var insert = new NpgsqlCommand(
            "insert into schema_migrations (source, number, name, checksum) values ($1, $2, $3, $4)", admin, transaction)
        {
            Parameters =
            {
                new() { Value = migration.Source }, new() { Value = migration.Number }, new() { Value = migration.Name }, new() { Value = migration.Checksum },
            },
        };
        await insert.ExecuteNonQueryAsync(ct);
        await transaction.CommitAsync(ct);
        LogApplied(migration.Source, migration.Name);
    }

    private const string CreateLedger =
        $"""
        create table if not exists schema_migrations (
            source text not null,
            number integer not null,
            name text not null,
            checksum text not null,
            applied_at timestamptz not null default now(),
            primary key (source, number)
        );
        grant select on schema_migrations to {Roles.App}, {Roles.Worker};
        """;

    private static async Task<IReadOnlyDictionary<(string Source, int Number), string>> ReadLedgerAsync(NpgsqlConnection connection, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand("select source, number, checksum from schema_migrations", connection);
        await using var reader = await command.ExecuteReaderAsync(ct);
        var applied = new Dictionary<(string, int), string>();
        while (await reader.ReadAsync(ct))
        {
            applied[(reader.GetString(0), reader.GetInt32(1))] = reader.GetString(2);
        }

        return applied;
    }

    internal static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken ct)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(ct);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Applied migration {Source}/{Name}")]
    private partial void LogApplied(string source, string name);

    [LoggerMessage(Level = LogLevel.Debug, Message = "The database is not set up yet ({SqlState})")]
    private partial void LogSetUpNeeded(string sqlState);
}
