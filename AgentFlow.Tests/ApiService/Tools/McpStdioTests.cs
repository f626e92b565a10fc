using AgentFlow.ApiService.Tools.Mcp;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.ApiService.Agents;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Tools;

/// <summary>A server that is a program of its own, spoken to over its standard input and output.</summary>
public sealed class McpStdioTests : IDisposable
{
    /// <summary>Answers line by line; the tool tells the program's process id and its environment, or ends the program.</summary>
    private const string Server = """
        while IFS= read -r line; do
            id=$(printf '%s' "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
            case "$line" in
                *'"method":"initialize"'*)
                    version=$(printf '%s' "$line" | sed -n 's/.*"protocolVersion":"\([^"]*\)".*/\1/p')
                    printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"%s","capabilities":{"tools":{}},"serverInfo":{"name":"shell","version":"1"}}}\n' "$id" "$version" ;;
                *'"method":"ping"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{}}\n' "$id" ;;
                *'"method":"tools/list"'*)
                    printf '{"jsonrpc":"2.0","id":%s,"result":{"tools":[{"name":"who","description":"Tells who answers.","inputSchema":{"type":"object","properties":{"word":{"type":"string"}}}}]}}\n' "$id" ;;
                *'"method":"tools/call"'*'die'*) exit 0 ;;
                *'"method":"tools/call"'*)
                    printf '{"jsonrpc":"2.0","id":%s,"result":{"content":[{"type":"text","text":"pid %s secret [%s]"}]}}\n' "$id" "$$" "$AUTH_KEYS" ;;
                *'"id":'*) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"Method not found"}}\n' "$id" ;;
            esac
        done
        """;

    private readonly string _script = Path.GetTempFileName();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => File.Delete(_script);

    [Fact]
    public async Task A_program_serves_tools_without_our_environment_and_is_started_again_when_it_ends()
    {
        await File.WriteAllTextAsync(_script, Server, Ct);
        await using var turns = await TurnFixture.StartAsync(
            withProvider: true,
            ""","tools":[{"name":"shell.who"}]""",
            ("Tools:Mcp:shell:Command", "/bin/sh"), ("Tools:Mcp:shell:Arguments:0", _script));

        var first = await CallAsync(turns, "hello");
        var end = await CallAsync(turns, "die");
        var second = await CallAsync(turns, "hello again");

        Assert.Matches(@"^pid \d+ secret \[\]$", first.Result!.Value.GetString()!);
        Assert.NotNull(end.Error);
        Assert.Matches(@"^pid \d+ secret \[\]$", second.Result!.Value.GetString()!);
        Assert.NotEqual(first.Result.Value.GetString(), second.Result.Value.GetString());
    }

    /// <summary>In a conversation of its own, so that no earlier result asks for consent; waits until the server is there.</summary>
    private static async Task<ToolReturned> CallAsync(TurnFixture turns, string word)
    {
        while (true)
        {
            while (turns.Api.Services.GetRequiredService<McpTools>().Tools.Count == 0)
                await Task.Delay(20, Ct);
            turns.Provider.Reset();
            turns.Provider.Enqueue(Script.CallTools(("shell__who", $$"""{"word":"{{word}}"}""")), Script.Say("Done."));
            var returned = Assert.Single((await turns.AskAsync("Who is there?")).OfType<ToolReturned>());

            // The tools were listed a moment before the end of the program was noticed.
            if (word == "die" || returned.Error is not { Code: "NOT_FOUND" or "INTERNAL_ERROR" or "TIMEOUT" })
                return returned;
        }
    }
}
