using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Runs;

/// <summary>A message that waits for its turn was acknowledged: it is answered once, with all that was handed in for it, whatever becomes of its process.</summary>
public sealed class LeftRunsTests() : OneHostTests(("Runs:Heartbeat", "00:00:00.1"), ("Runs:Lease", "00:00:02"))
{
    private readonly ConcurrentQueue<string> _seen = new();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_queued_message_is_answered_by_the_next_process_with_what_was_added_to_it(bool isStopped)
    {
        Agent = TestAgents.Paused(GoOn.Task);
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "first" });
        var first = await ReadToAsync(response, "message.delta");
        var conversation = (await Host.Client.GetFromJsonAsync<RunState>($"/api/runs/{first.Current.RunId}", ContractJson.Options, Ct))!.ConversationId;
        using var queued = await RunsHost.ChatAsync(Host.Client, new() { Message = "second", ConversationId = conversation, WhileRunning = WhileRunning.Enqueue });
        var second = await ReadToAsync(queued, "run.queued");
        var run = second.Current.RunId;
        var control = Host.Services.GetRequiredService<RunControl>();
        Assert.True(await control.AddContextAsync(Host.Owner, run, JsonSerializer.SerializeToElement(new { cargo = "herring" }), Ct));
        Assert.True(await control.AddContextAsync(Host.Owner, run, JsonSerializer.SerializeToElement(new { cargo = "salt" }), Ct));
        Agent = ListenAsync;

        if (isStopped)
            await StopAsync(first, second);
        else
            await Sql.ExecuteAsync(Database, "update agentflow_api.runs set host_id = gen_random_uuid(), fence = fence + 1; delete from agentflow_api.run_hosts");
        await using var next = await RunsHost.StartAsync(Database, (context, writer, ct) => Agent(context, writer, ct), ("Runs:Heartbeat", "00:00:00.1"), ("Runs:Lease", "00:00:02"));
        using var client = next.ClientOf(Host.Owner);
        using var resumed = await RunsHost.EventsAsync(client, run, $"{run}.1");
        var rest = await SseEvent.ReadAllAsync(resumed);

        Assert.Equal(["run.started", "run.completed"], [rest[0].Type, rest[^1].Type]);
        Assert.Equal(["""second {"cargo":"herring"} {"cargo":"salt"}"""], _seen);
        Assert.Equal(1L, await Sql.ScalarAsync<long>(Database, $"select count(*) from agentflow_api.messages where run_id = '{run}' and role = 1"));
    }

    [Fact]
    public async Task Who_waits_for_one_json_is_told_to_ask_again_and_then_gets_the_answer()
    {
        Agent = TestAgents.Paused(GoOn.Task);
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "first" });
        var first = await ReadToAsync(response, "message.delta");
        var conversation = (await Host.Client.GetFromJsonAsync<RunState>($"/api/runs/{first.Current.RunId}", ContractJson.Options, Ct))!.ConversationId;
        var request = new ChatRequest { Message = "second", ConversationId = conversation, WhileRunning = WhileRunning.Enqueue, Stream = false };
        var asking = RunsHost.ChatAsync(Host.Client, request, "one-key");
        while (await Sql.ScalarAsync<long>(Database, "select count(*) from agentflow_api.runs where status = 0") == 0)
            await Task.Delay(20, Ct);
        Agent = TestAgents.EchoAsync;

        await Host.StopAsync();
        using var refused = await asking;
        await using var next = await RunsHost.StartAsync(Database, TestAgents.EchoAsync, ("Runs:Heartbeat", "00:00:00.1"), ("Runs:Lease", "00:00:02"));
        using var client = next.ClientOf(Host.Owner);
        using var answered = await RunsHost.ChatAsync(client, request, "one-key");

        Assert.Equal((HttpStatusCode.ServiceUnavailable, true), (refused.StatusCode, refused.Headers.RetryAfter is not null));
        Assert.Contains("\"stopping\"", await refused.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
        Assert.Equal("You said: second", (await answered.Content.ReadFromJsonAsync<QueryAnswer>(ContractJson.Options, Ct))!.Answer);
        Assert.Equal(2L, await Sql.ScalarAsync<long>(Database, "select count(*) from agentflow_api.runs"));
    }

    [Fact]
    public void What_a_model_was_told_already_is_not_told_again()
    {
        static JsonElement Of(string text) => JsonElement.Parse(text);
        var told = new ContextAdded { Context = Of("""{ "a": 1 }""") };

        var left = RunAdditions.Left([Of("""{"a":1}"""), Of("""{"a":2}"""), Of("""{"a":1}""")], [new RunQueued(), told]);

        Assert.Equal(["""{"a":2}""", """{"a":1}"""], left.Select(each => each.GetRawText()));
    }

    /// <summary>The run that was answering gets its last event; the one that waits is said to go on elsewhere.</summary>
    private async Task StopAsync(IAsyncEnumerator<SseEvent> first, IAsyncEnumerator<SseEvent> second)
    {
        await Host.StopAsync();
        await ReadUntilAsync(first, "run.interrupted");
        Assert.False(await first.MoveNextAsync());
        Assert.True(await second.MoveNextAsync());
        using var left = JsonDocument.Parse(second.Current.Data);
        Assert.Equal(("stream.resume", "stream.resume", 1), (second.Current.Type, left.RootElement.GetProperty("type").GetString(), left.RootElement.GetProperty("after").GetInt32()));
        Assert.False(await second.MoveNextAsync());
        Assert.Equal(1L, await Sql.ScalarAsync<long>(Database, "select count(*) from agentflow_api.runs where status = 0 and ended_at is null"));
    }

    private Task ListenAsync(RunContext run, RunWriter writer, CancellationToken ct)
    {
        _seen.Enqueue($"{run.Question} {string.Join(' ', writer.Additions.Take().Select(each => each.GetRawText()))}");
        return TestAgents.EchoAsync(run, writer, ct);
    }
}
