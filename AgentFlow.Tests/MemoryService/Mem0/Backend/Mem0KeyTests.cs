using System.Collections.Concurrent;
using System.Diagnostics;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Mem0.Backend;

/// <summary>What a key of Mem0 does to the service as a process of its own, with the settings that it has by default.</summary>
public sealed class Mem0KeyTests
{
    private const string Key = "m0-3f1e-lone-key";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_key_alone_is_said_in_the_log_to_change_nothing_and_is_not_shown()
    {
        var log = new ConcurrentQueue<string>();
        using var process = Start(("ConnectionStrings__agentflow-memory", await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Memory)), ("MEM0_API_KEY", Key));
        process.OutputDataReceived += (_, line) => log.Enqueue(line.Data ?? string.Empty);
        process.BeginOutputReadLine();
        var said = process.StandardError.ReadToEndAsync(Ct);
        await Patience.UntilAsync(() => Task.FromResult(process.HasExited || log.Any(line => line.Contains("Now listening on", StringComparison.Ordinal))), "the service listens");
        process.StandardInput.Close();
        await process.WaitForExitAsync(Ct);

        Assert.True(process.ExitCode == 0, await said);
        Assert.Single(log, line => line.Contains("MEM0_API_KEY is set but not used: memories stay in this service.", StringComparison.Ordinal));
        Assert.DoesNotContain(log, line => line.Contains(Key, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_backend_without_a_key_ends_with_the_reason()
    {
        using var process = Start(("ConnectionStrings__agentflow-memory", "Host=127.0.0.1;Port=9;Password=x"), ("Memory__Backend", "mem0"));
        var said = await process.StandardError.ReadToEndAsync(Ct);
        await process.WaitForExitAsync(Ct);
        Assert.Equal(78, process.ExitCode);
        Assert.Contains("Memory:Backend: found mem0, but there is no key of Mem0", said, StringComparison.Ordinal);
        Assert.Contains("MEM0_API_KEY", said, StringComparison.Ordinal);
    }

    private static Process Start(params (string Key, string Value)[] environment)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "AgentFlow.MemoryService"))
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = AppContext.BaseDirectory,
        };
        start.Environment.Remove("MEM0_API_KEY");
        start.Environment["ASPNETCORE_URLS"] = "http://127.0.0.1:0";
        start.Environment["AGENTFLOW_PARENT_PIPE"] = "1";
        foreach (var (key, value) in environment)
            start.Environment[key] = value;
        return Process.Start(start)!;
    }
}
