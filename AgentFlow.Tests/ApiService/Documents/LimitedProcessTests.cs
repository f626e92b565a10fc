using System.Text;
using AgentFlow.ApiService.Documents.Extraction;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>The cage of everything that parses a stranger's file: what the kernel says it may use, and what it sees.</summary>
public sealed class LimitedProcessTests
{
    private static readonly ProcessLimits Limits = new(Cpu: 7, MemoryMiB: 64, Patience.Limit);

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_kernel_holds_it_to_its_processor_memory_files_and_writes()
    {
        var limits = (await RunAsync("cat", ["/proc/self/limits"], Limits)).Split('\n').Select(line => line.Split("  ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            .Where(words => words.Length > 2).ToDictionary(words => words[0], words => words[1], StringComparer.Ordinal);

        // Beside the parser's own memory there is that of the runtime around it.
        Assert.Equal(
            ("7", $"{(64 + 192) * 1024 * 1024}", "0", "0", "256"),
            (limits["Max cpu time"], limits["Max data size"], limits["Max file size"], limits["Max core file size"], limits["Max open files"]));
    }

    [Fact]
    public async Task Memory_over_the_limit_is_not_given()
    {
        foreach (var (block, fits) in new[] { ("1M", true), ("1G", false) })
        {
            await using var reading = LimitedProcess.Start(
                LimitedProcess.Find("dd")!, ["if=/dev/zero", "of=/dev/null", $"bs={block}", "count=1"], new Dictionary<string, string>(StringComparer.Ordinal), Limits, Ct);
            Assert.Equal(fits, (await reading.EndAsync(Ct)).ExitCode == 0);
        }
    }

    [Fact]
    public async Task It_sees_nothing_of_our_environment()
    {
        Environment.SetEnvironmentVariable("AGENTFLOW_TEST_SECRET", "not for parsers");
        Assert.Equal("LANG=C.UTF-8", (await RunAsync("env", [], Limits)).Trim());
    }

    [Fact]
    public async Task It_is_ended_when_its_time_is_over()
    {
        await using var sleeper = LimitedProcess.Start(LimitedProcess.Find("sleep")!, ["3600"], new Dictionary<string, string>(StringComparer.Ordinal), Limits with { Wall = TimeSpan.FromMilliseconds(50) }, Ct);

        Assert.NotEqual(0, (await sleeper.EndAsync(Ct)).ExitCode);
        Assert.True(sleeper.IsOutOfTime);
    }

    private static async Task<string> RunAsync(string program, string[] arguments, ProcessLimits limits)
    {
        await using var process = LimitedProcess.Start(LimitedProcess.Find(program)!, arguments, new Dictionary<string, string>(StringComparer.Ordinal) { ["LANG"] = "C.UTF-8" }, limits, Ct);
        using var reader = new StreamReader(process.Output, Encoding.UTF8);
        return await reader.ReadToEndAsync(Ct);
    }
}
