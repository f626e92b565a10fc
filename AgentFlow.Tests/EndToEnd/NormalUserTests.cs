using AgentFlow.AppHost.Local;
using AgentFlow.Tests.AppHost;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>As somebody who is not root: everything, PostgreSQL included, runs as that user and lies in a folder of theirs.</summary>
public sealed class NormalUserTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_normal_user_starts_it_and_starts_over()
    {
        Assert.SkipWhen(ServerUser.ForThisProcess() is null, "Not root, so that every other test of the AppHost is this one.");
        var fields = File.ReadLines("/etc/passwd").Select(line => line.Split(':')).First(each => each[0] == "nobody");
        var nobody = new ServerUser("nobody", uint.Parse(fields[2], System.Globalization.CultureInfo.InvariantCulture), uint.Parse(fields[3], System.Globalization.CultureInfo.InvariantCulture));
        var (exitCode, _) = await Tool.RunAsync([.. nobody.Prefix, "test", "-x", RunningAgentFlow.Program], "", new Dictionary<string, string>(StringComparer.Ordinal), TestContext.Current.CancellationToken);
        Assert.SkipWhen(exitCode != 0, "This repository lies where no other user can reach it.");
        Directory.CreateDirectory(_folder["home"]);
        Native.GiveTo(_folder["home"], nobody);
        var state = _folder["home/state"];

        string? token;
        await using (var agentFlow = await RunningAgentFlow.StartAsAsync(nobody, state, "--no-web"))
        {
            token = agentFlow.SetupToken;
            Assert.Equal([nobody.UserId], agentFlow.Users());
            Assert.True(File.Exists(Path.Combine(state, "postgres", "postmaster.pid")));
            Assert.Equal(0, await agentFlow.TerminateAsync());
        }

        // A cluster of another release is left alone until somebody asks to start over.
        await File.WriteAllTextAsync(Path.Combine(state, "postgres", "PG_VERSION"), "99\n", TestContext.Current.CancellationToken);
        var (refused, said) = await RunningAgentFlow.RunToEndAsAsync(nobody, state, "--no-web");
        Assert.Equal(1, refused);
        Assert.Contains("The database of this installation was made by PostgreSQL 99, and only that release can open it.", said, StringComparison.Ordinal);
        await using var again = await RunningAgentFlow.StartAsAsync(nobody, state, "--no-web", "--reset");
        Assert.NotNull(again.SetupToken);
        Assert.NotEqual(token, again.SetupToken);
    }

    [Fact]
    public async Task Help_starts_nothing_and_names_every_option()
    {
        var (exitCode, output) = await RunningAgentFlow.RunToEndAsync(_folder["state"], args: "--help");
        Assert.Equal(0, exitCode);
        Assert.All(["--reset", "--no-web", "--help", "AGENTFLOW_HOME", "AGENTFLOW_WEB_PORT"], word => Assert.Contains(word, output, StringComparison.Ordinal));
        Assert.False(Directory.Exists(_folder["state"]));
    }
}
