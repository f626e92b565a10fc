using AgentFlow.AppHost.Local;
using Npgsql;

namespace AgentFlow.Tests.AppHost;

public sealed class PostgresClusterTests : IAsyncLifetime
{
    private readonly TemporaryFolder _folder = new();
    private readonly ConsoleLog _console = new(Stream.Null);
    private readonly List<string> _said = [];
    private StateFolder _state = null!;
    private PostgresCluster _cluster = null!;
    private ManagedProcess _server = null!;
    private int _guard;

    public async ValueTask InitializeAsync()
    {
        var user = ServerUser.ForThisProcess();
        _state = await StateFolder.OpenAsync(_folder["state"], user, _said.Add, TestContext.Current.CancellationToken);
        var binaries = await PostgresBinaries.FindAsync(PostgresBinaries.Places("/", Environment.GetEnvironmentVariable), null, user, TestContext.Current.CancellationToken);
        _cluster = new PostgresCluster(_state.Path, binaries, user, "secret");
        await _cluster.PrepareAsync(_said.Add, TestContext.Current.CancellationToken);
        _server = new ManagedProcess(
            new ProcessSpec
            {
                Name = "postgres",
                Command = _cluster.Command,
                WorkingDirectory = "/",
                IsHealthy = (guard, _) =>
                {
                    _guard = guard;
                    return Task.FromResult(_cluster.IsReady(guard));
                },
                StopsByPipe = true,
                StopWithin = TimeSpan.FromMinutes(2),
                StartPatience = TimeSpan.FromMinutes(2),
            },
            _console,
            _state,
            new LeftOvers(_state.Path));
        await _server.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _server.StopAsync(TimeSpan.FromMinutes(2));
        _server.Dispose();
        _state.Dispose();
        await _console.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task The_cluster_is_safe_by_its_settings_and_refuses_a_wrong_password()
    {
        Assert.Equal("on", await AskAsync("show data_checksums"));
        Assert.Equal("on", await AskAsync("show fsync"));
        Assert.Equal("on", await AskAsync("show synchronous_commit"));
        Assert.Equal("", await AskAsync("show listen_addresses"));
        Assert.Equal("UTF8", await AskAsync("show server_encoding"));
        Assert.Equal("älter", await AskAsync("select lower('ÄLTER')"));
        Assert.Equal("True", await AskAsync("select 'Z' < 'a'"));
        Assert.Equal(["agentflow_api", "agentflow_memory"], (await AskAsync("select string_agg(datname, ',' order by datname) from pg_database where datname like 'agentflow%'")).Split(','));

        var wrong = new NpgsqlConnectionStringBuilder(_cluster.ConnectionString("agentflow_api")) { Password = "guess", Pooling = false };
        await using var connection = new NpgsqlConnection(wrong.ConnectionString);
        var refusal = await Assert.ThrowsAsync<PostgresException>(() => connection.OpenAsync(TestContext.Current.CancellationToken));
        Assert.Equal(PostgresErrorCodes.InvalidPassword, refusal.SqlState);
    }

    [Fact]
    public async Task A_killed_server_comes_back_with_what_was_committed_and_one_that_outlived_its_guard_is_stopped_before_the_next_start()
    {
        await AskAsync("create table kept as select 42 as answer");
        var server = await ServerAsync();
        var before = _guard;
        Native.Signal(server, Native.SigKill);
        await Support.Patience.UntilAsync(() => Task.FromResult(_guard != before && _cluster.IsReady(_guard)), "the server's second start");
        Assert.Equal("42", await AskAsync("select answer from kept"));

        server = await ServerAsync();
        await _cluster.PrepareAsync(_said.Add, TestContext.Current.CancellationToken);
        Assert.Contains($"Stopping a PostgreSQL of an earlier run (process {server})", _said);
        Assert.Null(Native.StartTime(server));
    }

    private async Task<int> ServerAsync() =>
        int.Parse((await File.ReadAllLinesAsync(_folder["state/postgres/postmaster.pid"], TestContext.Current.CancellationToken))[0], System.Globalization.CultureInfo.InvariantCulture);

    private async Task<string> AskAsync(string sql)
    {
        await using var connection = new NpgsqlConnection(_cluster.ConnectionString("agentflow_api") + ";Pooling=false");
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new NpgsqlCommand(sql, connection);
        return (await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))?.ToString() ?? "";
    }
}
