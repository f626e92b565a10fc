using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentFlow.Tests.Access;

/// <summary>The third wall, asked directly: as the login that the service itself uses.</summary>
public sealed class RowLevelSecurityTests(ApiHost host) : IClassFixture<ApiHost>
{
    /// <summary>Which processes are alive and with which embedding model, what has been migrated, the Web's own keys: no owner's data.</summary>
    private static readonly string[] WithoutOwner = ["index_processes", "index_spaces", "run_hosts", "schema_migrations", "web_keys"];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_table_has_an_owner_and_forces_row_level_security()
    {
        var open = await QueryAsync(
            """
            select c.relname from pg_class c
            where c.relnamespace = 'agentflow_api'::regnamespace and c.relkind in ('r', 'p')
              and (not c.relrowsecurity or not c.relforcerowsecurity
                   or not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'owner_id' and not a.attisdropped))
            order by 1
            """);

        Assert.Equal(WithoutOwner, open.Where(WithoutOwner.Contains));
        Assert.Empty(open.Except(WithoutOwner));
    }

    [Fact]
    public async Task The_services_roles_can_neither_bypass_security_nor_own_tables()
    {
        Assert.Empty(await QueryAsync("select rolname from pg_roles where rolname in ('agentflow_app', 'agentflow_worker', 'agentflow_api_service') and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)"));
        Assert.Empty(await QueryAsync("select tablename from pg_tables where schemaname = 'agentflow_api' and tableowner in ('agentflow_app', 'agentflow_worker', 'agentflow_api_service')"));
    }

    [Fact]
    public async Task The_services_login_sees_nothing_by_itself_nor_as_application_without_an_owner()
    {
        var user = await host.RegisterAsync();
        (await user.KeyClientAsync("read")).Dispose();
        var source = host.Services.GetRequiredService<NpgsqlDataSource>();
        await using var connection = await source.OpenConnectionAsync(Ct);
        var seen = new List<string>();
        var readable = 0;
        foreach (var table in await QueryAsync("select tablename from pg_tables where schemaname = 'agentflow_api' and tablename not in ('index_processes', 'index_spaces', 'run_hosts', 'schema_migrations', 'web_keys') order by 1"))
        {
            if (await CountAsync(connection, "none", table) is not null)
            {
                seen.Add($"{table} by the login itself");
            }

            var rows = await CountAsync(connection, "agentflow_app", table);
            readable += rows is null ? 0 : 1;
            if (rows > 0)
            {
                seen.Add($"{table} without an owner: {rows}");
            }
        }

        Assert.Empty(seen);
        Assert.True(readable >= 3, "The application reads some tables, or this test proves nothing.");
    }

    [Fact]
    public async Task An_owner_sees_its_own_rows_and_cannot_write_anothers_or_its_own_role()
    {
        var (ada, eve) = (await host.RegisterAsync("ada"), await host.RegisterAsync("eve"));
        (await ada.KeyClientAsync("read")).Dispose();
        var source = host.Services.GetRequiredService<NpgsqlDataSource>();
        await using var connection = await source.OpenConnectionAsync(Ct);

        Assert.Equal(1, await AsOwnerAsync(connection, ada, "select count(*) from api_keys"));
        Assert.Equal(0, await AsOwnerAsync(connection, eve, "select count(*) from api_keys"));
        Assert.Equal(1, await AsOwnerAsync(connection, eve, "select count(*) from users"));
        Assert.Equal("42501", await ErrorAsync(connection, eve, "update users set role = 'admin'"));
        Assert.Equal("42501", await ErrorAsync(connection, eve, "select password_hash from users"));
        Assert.Equal("42501", await ErrorAsync(connection, eve, "select * from refresh_tokens"));
        Assert.Equal("42501", await ErrorAsync(connection, eve, "delete from audit_log"));
        Assert.Equal("42501", await ErrorAsync(connection, eve, $"insert into api_keys (id, owner_id, name, prefix, key_hash, scopes) values (gen_random_uuid(), '{ada.Id}', 'x', 'x', decode(repeat('00', 32), 'hex'), array['write'])"));
    }

    [Fact]
    public async Task The_erasure_of_an_account_may_delete_from_every_table_that_has_an_owner()
    {
        var kept = await QueryAsync(
            """
            select c.relname from pg_class c
            join pg_attribute a on a.attrelid = c.oid and a.attname = 'owner_id' and not a.attisdropped
            where c.relnamespace = 'agentflow_api'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
              and not has_table_privilege('agentflow_app', c.oid, 'delete') and not has_table_privilege('agentflow_worker', c.oid, 'delete')
            order by 1
            """);

        // Says who deleted whom; holds no content.
        Assert.Equal(["audit_log"], kept);
    }

    [Fact]
    public async Task Workers_cannot_change_what_was_audited()
    {
        var source = host.Services.GetRequiredService<NpgsqlDataSource>();
        await using var connection = await source.OpenConnectionAsync(Ct);
        foreach (var sql in new[] { "update audit_log set action = 'x'", "delete from audit_log", "truncate audit_log" })
        {
            var error = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, $"set role agentflow_worker; {sql}"));
            Assert.Equal("42501", error.SqlState);
            await ExecuteAsync(connection, "reset role");
        }
    }

    private async Task<List<string>> QueryAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(host.ConnectionString);
        await using var command = source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync(Ct);
        var rows = new List<string>();
        while (await reader.ReadAsync(Ct))
        {
            rows.Add(reader.GetString(0));
        }

        return rows;
    }

    /// <returns>Null where the role may not read the table at all.</returns>
    private static async Task<long?> CountAsync(NpgsqlConnection connection, string role, string table)
    {
        try
        {
            await ExecuteAsync(connection, $"set role {role}");
            await using var command = new NpgsqlCommand($"select count(*) from agentflow_api.{table}", connection);
            return (long)(await command.ExecuteScalarAsync(Ct))!;
        }
        catch (PostgresException error) when (error.SqlState is "42501")
        {
            return null;
        }
        finally
        {
            await ExecuteAsync(connection, "reset role");
        }
    }

    private static async Task<long> AsOwnerAsync(NpgsqlConnection connection, TestUser user, string sql)
    {
        await using var transaction = await connection.BeginTransactionAsync(Ct);
        await ExecuteAsync(connection, $"set local role agentflow_app; set local app.owner_id = '{user.Id}'");
        await using var command = new NpgsqlCommand(sql, connection, transaction);
        return (long)(await command.ExecuteScalarAsync(Ct))!;
    }

    private static async Task<string> ErrorAsync(NpgsqlConnection connection, TestUser user, string sql)
    {
        await using var transaction = await connection.BeginTransactionAsync(Ct);
        await ExecuteAsync(connection, $"set local role agentflow_app; set local app.owner_id = '{user.Id}'");
        return (await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(connection, sql))).SqlState;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Ct);
    }
}
