using AgentFlow.AppHost.Local;

namespace AgentFlow.Tests.AppHost;

public sealed class StateFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<string> _said = [];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_second_start_is_refused_and_told_who_holds_the_folder()
    {
        using var first = await OpenAsync(_folder["state"], user: null);
        var refusal = await Assert.ThrowsAsync<StartRefusedException>(() => OpenAsync(_folder["state"], user: null));
        Assert.Equal(
            $"The state folder {_folder["state"]} is in use by another AgentFlow (process {Environment.ProcessId}). Stop that one first, or set AGENTFLOW_HOME to another folder.",
            refusal.Message);
    }

    [Fact]
    public async Task A_closed_folder_can_be_opened_again()
    {
        (await OpenAsync(_folder["state"], user: null)).Dispose();
        using var again = await OpenAsync(_folder["state"], user: null);
        Assert.Equal(_folder["state"], again.Path);
    }

    [Fact]
    public async Task A_folder_that_the_servers_user_can_not_reach_is_replaced_aloud()
    {
        var user = ServerUser.ForThisProcess();
        Assert.SkipWhen(user is null, "Only root runs PostgreSQL as another user.");
        Directory.CreateDirectory(_folder["private"], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var wanted = _folder["private/state"];
        var opened = await OpenAsync(wanted, user);
        opened.Dispose();
        Assert.StartsWith("/var/lib/agentflow/", opened.Path, StringComparison.Ordinal);
        Assert.Equal([$"State is kept in {opened.Path}, because PostgreSQL's user '{user!.Name}' can not reach {wanted}."], _said);
        Directory.Delete(opened.Path, recursive: true);
    }

    [Fact]
    public async Task A_place_that_can_not_be_made_is_refused()
    {
        await File.WriteAllTextAsync(_folder["file"], "", TestContext.Current.CancellationToken);
        var refusal = await Assert.ThrowsAsync<StartRefusedException>(() => OpenAsync(_folder["file/state"], user: null));
        Assert.Contains("Set AGENTFLOW_HOME to a folder that can.", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reset_deletes_what_is_AgentFlows_and_nothing_else()
    {
        using var state = await OpenAsync(_folder["state"], user: null);
        var before = Secrets.LoadOrCreate(state.Path);
        Directory.CreateDirectory(Path.Combine(state.Path, PostgresCluster.FolderName));
        await File.WriteAllTextAsync(Path.Combine(state.Path, "thesis.txt"), "mine", TestContext.Current.CancellationToken);
        state.Reset();
        Assert.Equal(["lock", "logs", "owner.pid", "thesis.txt"], Directory.GetFileSystemEntries(state.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.NotEqual(before, Secrets.LoadOrCreate(state.Path));
    }

    private Task<StateFolder> OpenAsync(string path, ServerUser? user) =>
        StateFolder.OpenAsync(path, user, _said.Add, TestContext.Current.CancellationToken);
}
