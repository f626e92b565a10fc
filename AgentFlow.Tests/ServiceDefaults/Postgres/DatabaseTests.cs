using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Tests.ServiceDefaults.Postgres;

public sealed class DatabaseTests
{
    private static readonly object[] SomeTask = ["kind", "{}"];

    [Fact]
    public async Task An_owner_sees_only_its_own_rows_and_a_worker_sees_all()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync();
        var (alice, bob) = (Guid.CreateVersion7(), Guid.CreateVersion7());
        await InsertTaskAsync(host, alice, alice, ct);
        await InsertTaskAsync(host, bob, bob, ct);

        Assert.Equal([alice], await OwnersAsync(host.Database.ForOwner(alice), ct));
        Assert.Equal([bob], await OwnersAsync(host.Database.ForOwner(bob), ct));
        Assert.Equal(2, (await OwnersAsync(host.Database.AsWorker(), ct)).Count);
    }

    [Fact]
    public async Task Calls_one_after_another_use_one_connection_whatever_the_string_says_of_pooling()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync();
        var owner = host.Database.ForOwner(Guid.CreateVersion7());
        var backends = new HashSet<int>();
        for (var i = 0; i < 10; i++)
            backends.Add(await owner.QuerySingleAsync("select pg_backend_pid()", [], reader => reader.GetInt32(0), ct));
        Assert.Single(backends);
    }

    [Fact]
    public async Task Writing_for_somebody_else_is_refused()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync();
        var error = await Assert.ThrowsAsync<PostgresException>(() => InsertTaskAsync(host, Guid.CreateVersion7(), Guid.CreateVersion7(), ct));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, error.SqlState);
    }

    [Fact]
    public async Task The_login_alone_and_the_role_without_an_owner_see_nothing()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync();
        var alice = Guid.CreateVersion7();
        await InsertTaskAsync(host, alice, alice, ct);
        await using var connection = await host.Database.Source.OpenConnectionAsync(ct);
        await using var asLogin = new NpgsqlCommand("select count(*) from tasks", connection);
        var refused = await Assert.ThrowsAsync<PostgresException>(() => asLogin.ExecuteScalarAsync(ct));
        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);

        await using var asRole = new NpgsqlCommand("set role agentflow_app; select count(*) from tasks", connection);
        Assert.Equal(0L, await asRole.ExecuteScalarAsync(ct));
    }

    [Fact]
    public async Task A_failing_batch_leaves_nothing_behind()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync();
        var alice = Guid.CreateVersion7();
        var batch = host.Database.ForOwner(alice).CreateBatch();
        batch.Add("insert into tasks (id, owner_id, kind, input) values ($1, $2, 'k', '{}')", [Guid.CreateVersion7(), alice]);
        batch.Add("select 1 / ($1::int)", [0]);
        await Assert.ThrowsAsync<PostgresException>(() => batch.ExecuteAsync(ct));
        Assert.Empty(await OwnersAsync(host.Database.ForOwner(alice), ct));
    }

    [Fact]
    public async Task An_error_in_a_result_that_nobody_read_is_not_lost()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync();
        var batch = host.Database.ForOwner(Guid.CreateVersion7()).CreateBatch();
        batch.Add("select 1", []).Add("select 1 / ($1::int)", [0]);
        await Assert.ThrowsAsync<PostgresException>(() => batch.ReadAsync(async (reader, token) => await reader.ReadAsync(token), ct));
    }

    [Fact]
    public async Task A_session_that_is_not_committed_is_rolled_back()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var host = await FoundationHost.StartAsync();
        var alice = Guid.CreateVersion7();
        await using (var session = await host.Database.ForOwner(alice).BeginAsync(ct))
        {
            await session.ExecuteAsync("insert into tasks (id, owner_id, kind, input) values ($1, $2, 'k', '{}')", [Guid.CreateVersion7(), alice], ct);
            Assert.Equal([alice], await session.QueryAsync("select owner_id from tasks", [], row => row.GetGuid(0), ct));
        }

        Assert.Empty(await OwnersAsync(host.Database.ForOwner(alice), ct));
    }

    private static Task InsertTaskAsync(FoundationHost host, Guid asOwner, Guid rowOwner, CancellationToken ct) =>
        host.Database.ForOwner(asOwner).ExecuteAsync(
            "insert into tasks (id, owner_id, kind, input) values ($1, $2, $3, $4::jsonb)", [Guid.CreateVersion7(), rowOwner, .. SomeTask], ct);

    private static Task<List<Guid>> OwnersAsync(AgentFlow.ServiceDefaults.Postgres.DbScope scope, CancellationToken ct) =>
        scope.QueryAsync("select owner_id from tasks order by owner_id", [], row => row.GetGuid(0), ct);
}
