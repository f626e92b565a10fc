using System.Net;
using System.Net.Http.Json;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Tools;

/// <summary>A run that waits for a person outlives the process that started it.</summary>
public sealed class LeftApprovalsTests : IAsyncLifetime
{
    private ScriptedProvider _provider = null!;
    private ApiHost _first = null!;
    private ApiHost _second = null!;
    private bool _firstIsGone;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _provider = await ScriptedProvider.StartAsync();
        var settings = new Dictionary<string, string?>
        {
            ["Models:Providers:0:Name"] = "scripted",
            ["Models:Providers:0:Endpoint"] = _provider.Endpoint.ToString(),
            ["Models:Providers:0:ApiKey"] = "test-key",
            ["Models:Providers:0:Model"] = "scripted",
            ["Runs:Heartbeat"] = "00:00:00.2",
        };
        _first = await ApiHost.StartAsync(settings);
        _second = await ApiHost.StartAsync(new Dictionary<string, string?>(settings) { ["ConnectionStrings:agentflow-api"] = _first.ConnectionString, ["Test:NoAdmin"] = "yes" });
    }

    public async ValueTask DisposeAsync()
    {
        await _second.DisposeAsync();
        if (!_firstIsGone)
            await _first.DisposeAsync();
        await _provider.DisposeAsync();
    }

    [Fact]
    public async Task After_a_stop_another_process_takes_the_answer_and_goes_on()
    {
        var (run, seen) = await AskUntilApprovalAsync();
        await _first.StopAsync();
        _firstIsGone = true;
        using var client = _second.Client(_first.Admin.Tokens.AccessToken);
        Assert.Equal(HttpStatusCode.OK, await DecideAsync(client, run, """{"decision":"approve","arguments":{"memoryId":"none"}}"""));

        var events = await RestAsync(client, run, seen);

        Assert.Equal("approve", Assert.Single(events.OfType<ApprovalResolved>()).Decision);
        Assert.Equal("INVALID_ARGUMENTS", Assert.Single(events.OfType<ToolReturned>()).Error!.Code);
        Assert.Equal("Wait. Nothing to forget.", Assert.IsType<RunCompleted>(events[^1]).Text);
        Assert.Empty(events.OfType<ToolCalled>());
        var second = _provider.Requests[1].Body.GetProperty("messages").EnumerateArray().Select(message => message.GetProperty("role").GetString());
        Assert.Equal(["system", "user", "assistant", "tool"], second);
    }

    [Fact]
    public async Task A_socket_is_told_that_the_run_goes_on_elsewhere()
    {
        _provider.Enqueue(Script.CallTools(("forget", """{"memoryId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d"}""")));
        using var socket = await SocketClient.OpenAsync(_first.Address, _first.Admin.Client, "/ws/chat");
        await socket.SendAsync("""{"type":"message","message":"Forget it."}""");
        var asked = await socket.UntilAsync("approval.required");

        var stopping = _first.StopAsync();
        _firstIsGone = true;
        var resume = await socket.UntilAsync("stream.resume");
        var closed = await socket.ClosedAsync();
        await stopping;

        Assert.Equal((asked.GetProperty("runId").GetString(), asked.GetProperty("seq").GetInt64()), (resume.GetProperty("runId").GetString(), resume.GetProperty("after").GetInt64()));
        Assert.Equal(System.Net.WebSockets.WebSocketCloseStatus.EndpointUnavailable, closed);
    }

    [Fact]
    public async Task After_a_death_the_question_still_stands_and_is_asked_once()
    {
        var (run, seen) = await AskUntilApprovalAsync();
        var dead = _first.Services.GetRequiredService<LocalRuns>().HostId;
        await Sql.ExecuteAsync(_first.ConnectionString, $"delete from agentflow_api.run_hosts where id = '{dead}'");
        using var client = _second.Client(_first.Admin.Tokens.AccessToken);
        while (await Sql.ScalarAsync<int>(_first.ConnectionString, $"select fence from agentflow_api.runs where id = '{run}'") == 1)
            await Task.Delay(20, Ct);
        Assert.Equal(RunStatus.AwaitingApproval, (await client.GetFromJsonAsync<RunState>($"/api/runs/{run}", ContractJson.Options, Ct))!.Status);
        Assert.Equal(HttpStatusCode.OK, await DecideAsync(client, run, """{"decision":"deny"}"""));

        var events = await RestAsync(client, run, seen);

        Assert.Equal("deny", Assert.Single(events.OfType<ApprovalResolved>()).Decision);
        Assert.Equal("DENIED", Assert.Single(events.OfType<ToolReturned>()).Error!.Code);
        Assert.Empty(events.OfType<ApprovalRequired>());
        Assert.Equal("Wait. Nothing to forget.", Assert.IsType<RunCompleted>(events[^1]).Text);
        Assert.Equal(2, _provider.RequestCount);
    }

    /// <returns>The run, and the last event that its client saw.</returns>
    private async Task<(RunId Run, long Seen)> AskUntilApprovalAsync()
    {
        var calls = Script.CallTools(("forget", """{"memoryId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d"}"""));
        _provider.Enqueue(calls with { Steps = [Sse.Text("Wait. "), .. calls.Steps] }, Script.Say("Nothing to forget."));
        using var message = new HttpRequestMessage(HttpMethod.Post, "/api/chat") { Content = JsonContent.Create(new ChatRequest { Message = "Forget it." }, options: ContractJson.Options) };
        using var response = await _first.Admin.Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, Ct);
        await foreach (var evt in SseEvent.ReadAsync(response))
        {
            if (evt.Parsed is ApprovalRequired)
                return (evt.RunId, evt.Seq);
        }

        throw new InvalidOperationException("The run ended without a question.");
    }

    private static async Task<HttpStatusCode> DecideAsync(HttpClient client, RunId run, string body)
    {
        using var response = await client.PostTextAsync($"/api/runs/{run}/approvals/call_0_forget", body);
        return response.StatusCode;
    }

    /// <summary>As a client that lost its connection: asks for what follows until the last event is there.</summary>
    private static async Task<List<RunEvent>> RestAsync(HttpClient client, RunId run, long seen)
    {
        var events = new List<RunEvent>();
        while (events.Count == 0 || !events[^1].IsTerminal)
        {
            using var response = await RunsHost.EventsAsync(client, run, query: $"?after={(events.Count == 0 ? seen : events[^1].Seq)}");
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            events.AddRange((await SseEvent.ReadAllAsync(response)).Select(evt => evt.Parsed));
        }

        return events;
    }
}
