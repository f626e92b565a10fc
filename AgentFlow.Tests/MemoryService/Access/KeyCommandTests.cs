using System.Diagnostics;
using System.Net;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Tests.MemoryService.Access;

/// <summary><c>dotnet run --project AgentFlow.MemoryService -- key create</c>, as a process of its own, with nothing but <c>POSTGRES_URL</c>.</summary>
public sealed class KeyCommandTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_first_key_is_made_by_command_and_opens_the_service_that_runs_alone()
    {
        var database = await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Memory);
        var (exit, key, said) = await RunAsync(ToUri(database), "key", "create", "--name", "laptop", "--scopes=read,write", "--user", "ada");
        Assert.True(exit == 0, said);
        Assert.StartsWith("af_mem_", key, StringComparison.Ordinal);
        Assert.Contains("read, write", said, StringComparison.Ordinal);

        await using var alone = await MemoryHost.StartAsync(connectionString: string.Empty, settings: [("POSTGRES_URL", ToUri(database))]);
        using var client = alone.Client(key);
        await client.AddAsync(new AddMemoryRequest { Text = "The stick is red", Infer = false });
        Assert.Equal("ada", (await client.SearchAsync("stick", """{"userId":"ada"}""")).Items.Single().UserId);
        Assert.Equal((403, "subject_not_allowed"), await client.PostTextAsync("/api/memories", """{"text":"x","userId":"eve"}""").RefusalAsync());
        Assert.Equal(HttpStatusCode.Forbidden, (await client.GetAsync("/api/keys", Ct)).StatusCode);
    }

    [Theory]
    [InlineData("--scopes=all", "--scopes")]
    [InlineData("--colour=red", "--colour")]
    public async Task A_wrong_command_says_what_is_wrong(string option, string named)
    {
        var (exit, key, said) = await RunAsync("postgresql://u:p@127.0.0.1:9/x", "key", "create", option);
        Assert.Equal((78, string.Empty), (exit, key));
        Assert.Contains(named, said, StringComparison.Ordinal);
    }

    private static async Task<(int Exit, string Output, string Error)> RunAsync(string postgres, params string[] arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "AgentFlow.MemoryService"), arguments)
        {
            RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = AppContext.BaseDirectory,
        };
        start.Environment["POSTGRES_URL"] = postgres;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync(Ct);
        var error = process.StandardError.ReadToEndAsync(Ct);
        await process.WaitForExitAsync(Ct);
        return (process.ExitCode, (await output).Trim(), await error);
    }

    private static string ToUri(string connectionString)
    {
        var parts = new NpgsqlConnectionStringBuilder(connectionString);
        return $"postgresql://{parts.Username}:{Uri.EscapeDataString(parts.Password!)}@{parts.Host}:{parts.Port}/{parts.Database}";
    }
}
