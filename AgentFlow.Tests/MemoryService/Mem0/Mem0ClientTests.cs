using System.Diagnostics;
using System.Text.Json;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Mem0;

/// <summary>Mem0's own JavaScript client, unmodified, against our server.</summary>
public sealed class Mem0ClientTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    [Fact]
    public async Task Every_method_of_the_client_that_has_a_counterpart_works()
    {
        var (_, key) = await fixture.Host.CreateKeyAsync();
        var calls = await RunAsync(fixture.Host.Address, key);

        Assert.Equal([], calls.Where(call => !call.Value.GetProperty("ok").GetBoolean()).Select(call => $"{call.Key}: {call.Value.GetProperty("error")}"));
        Assert.Equal(27, calls.Count);
        Assert.Equal(2, Result(calls, "add").GetProperty("results").GetArrayLength());
        Assert.Equal("My name is Ada.", Result(calls, "addInferred").GetProperty("results")[0].GetProperty("memory").GetString());
        var found = Result(calls, "search").GetProperty("results")[0];
        Assert.Contains("tulips", found.GetProperty("memory").GetString(), StringComparison.Ordinal);
        Assert.Equal("garden", found.GetProperty("metadata").GetProperty("topic").GetString());
        Assert.Equal(2, Result(calls, "searchByMetadata").GetProperty("results").GetArrayLength());
        Assert.Equal(3, Result(calls, "getAll").GetProperty("count").GetInt32());
        Assert.Equal("The tulips are in the south garden", Result(calls, "update").GetProperty("memory").GetString());
        Assert.Equal("timed", Result(calls, "updateMetadata").GetProperty("metadata").GetProperty("topic").GetString());
        Assert.All(["updateTime", "updateMetadata", "updateExpiry"], method => Assert.Equal("The tulips are in the south garden", Result(calls, method).GetProperty("memory").GetString()));
        Assert.Equal(["ADD", "UPDATE", "UPDATE", "UPDATE", "UPDATE"], Result(calls, "history").EnumerateArray().Select(entry => entry.GetProperty("event").GetString()));
        Assert.Contains("mem0-user", Result(calls, "users").GetProperty("results").EnumerateArray().Select(entity => entity.GetProperty("name").GetString()));
        Assert.Equal(["My name is Ada."], Result(calls, "getMemoryExport").GetProperty("memories").EnumerateArray().Select(memory => memory.GetProperty("memory").GetString()!)
            .Where(text => !text.Contains("tulips", StringComparison.Ordinal)));
        Assert.DoesNotContain(Result(calls, "searchAfterDelete").GetProperty("results").EnumerateArray(), item => item.GetProperty("memory").GetString()!.Contains("tulips", StringComparison.Ordinal));
        Assert.Equal(0, Result(calls, "getAllAfterDeleteAll").GetProperty("count").GetInt32());
        using var client = fixture.Host.Client(key);
        Assert.Empty((await client.ListAsync()).Items);
    }

    [Fact]
    public async Task A_wrong_key_fails_every_call()
    {
        var calls = await RunAsync(fixture.Host.Address, "af_mem_wrong");
        Assert.Equal(27, calls.Count);
        Assert.All(calls.Where(call => call.Key != "end"), call => Assert.False(call.Value.GetProperty("ok").GetBoolean(), call.Key));
    }

    private static JsonElement Result(Dictionary<string, JsonElement> calls, string method) => calls[method].GetProperty("result");

    private static async Task<Dictionary<string, JsonElement>> RunAsync(Uri host, string key)
    {
        var start = new ProcessStartInfo("node", [Path.Combine(ClientFolder(), "mem0-client.mjs"), host.ToString().TrimEnd('/'), key])
        {
            RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = ClientFolder(),
        };
        start.Environment["MEM0_TELEMETRY"] = "false";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, await errors);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(line => line.StartsWith("{\"method\"", StringComparison.Ordinal))
            .Select(line => JsonElement.Parse(line)).ToDictionary(call => call.GetProperty("method").GetString()!);
    }

    private static string ClientFolder()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var clients = Path.Combine(folder.FullName, "AgentFlow.Tests", "Clients");
            if (Directory.Exists(clients))
                return clients;
        }

        throw new DirectoryNotFoundException("AgentFlow.Tests/Clients");
    }
}
