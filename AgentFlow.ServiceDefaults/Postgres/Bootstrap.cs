using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>Creates the roles and the service's schema as administrator. Safe to repeat and to run in several processes at once.</summary>
internal static class Bootstrap
{
    /// <summary>Roles belong to the whole cluster and the advisory lock to one database: two services may meet on the same catalogue row.</summary>
    private const int MaxAttempts = 20;

    /// <returns>The administrator's connection, set up and holding the advisory lock.</returns>
    public static async Task<NpgsqlConnection> OpenAsync(NpgsqlDataSource source, DatabaseTarget target, long lockKey, CancellationToken ct)
    {
        for (var attempt = 1; ; attempt++)
        {
            // Npgsql breaks a connection on an internal error of the server, so each attempt has one of its own.
            var admin = source.CreateConnection();
            try
            {
                await admin.OpenAsync(ct);
                await Migrator.ExecuteAsync(admin, $"select pg_advisory_lock({lockKey})", ct);
                await Migrator.ExecuteAsync(admin, Script(target), ct);
                return admin;
            }
            catch (PostgresException error) when (attempt < MaxAttempts && IsRace(error))
            {
                await admin.DisposeAsync();
                await Task.Delay(TimeSpan.FromMilliseconds(Random.Shared.Next(5, 25 * attempt)), ct);
            }
            catch
            {
                await admin.DisposeAsync();
                throw;
            }
        }
    }

    /// <summary>"tuple concurrently updated" is an internal error to Postgres; the others are the same race seen later.</summary>
    private static bool IsRace(PostgresException error) =>
        error.SqlState is PostgresErrorCodes.InternalError or PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.DuplicateObject
            or PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.DuplicateSchema;

    private static string Script(DatabaseTarget target)
    {
        var schema = DatabaseTarget.Quote(target.Schema);
        var login = DatabaseTarget.Quote(target.Login);
        var password = target.LoginPassword is null ? string.Empty : $"alter role {login} password '{target.LoginPassword}';";
        return $"""
            do $$
            begin
                if not exists (select from pg_roles where rolname = '{Roles.Owner}') then create role {Roles.Owner} nologin; end if;
                if not exists (select from pg_roles where rolname = '{Roles.App}') then create role {Roles.App} nologin; end if;
                if not exists (select from pg_roles where rolname = '{Roles.Worker}') then create role {Roles.Worker} nologin; end if;
                if not exists (select from pg_roles where rolname = '{target.Login}') then create role {login} login noinherit; end if;
                if not pg_has_role(current_user, '{Roles.Owner}', 'member') then execute format('grant {Roles.Owner} to %I', current_user); end if;
                if not pg_has_role('{target.Login}', '{Roles.App}', 'member') then grant {Roles.App} to {login}; end if;
                if not pg_has_role('{target.Login}', '{Roles.Worker}', 'member') then grant {Roles.Worker} to {login}; end if;
            end $$;
            {password}
            create schema if not exists {schema};
            alter schema {schema} owner to {Roles.Owner};
            grant usage on schema {schema} to {login}, {Roles.App}, {Roles.Worker};
            create or replace function {schema}.app_owner() returns uuid language sql stable parallel safe
                as $f$ select nullif(current_setting('app.owner_id', true), '')::uuid $f$;
            alter function {schema}.app_owner() owner to {Roles.Owner};
            """;
    }
}
