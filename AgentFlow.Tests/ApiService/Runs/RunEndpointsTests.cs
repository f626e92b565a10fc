using System.Net;
using System.Net.Http.Json;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.ApiService.Runs;

public sealed class RunEndpointsTests() : OneHostTests(("Runs:KeepAlive", "00:00:00.2"), ("Runs:FirstByteHold", "00:00:10"))
{
    [Fact]
    public async Task A_stream_resumes_at_every_event_on_any_replica()
    {
        var all = await Host.ChatToEndAsync(new() { Message = "a b c d e f g h" });
        await using var other = await RunsHost.StartAsync(Database, TestAgents.EchoAsync);
        using var elsewhere = other.ClientOf(Host.Owner);

        for (var seq = 0; seq < all.Count; seq++)
        {
            using var here = await RunsHost.EventsAsync(Host.Client, all[0].RunId, seq == 0 ? null : all[seq - 1].Id);
            using var there = await RunsHost.EventsAsync(elsewhere, all[0].RunId, query: $"?after={seq}");
            using var asOthersSayIt = await RunsHost.EventsAsync(elsewhere, all[0].RunId, query: $"?starting_after={seq}");
            Assert.Equal(all[seq..], await SseEvent.ReadAllAsync(asOthersSayIt));
            Assert.Equal(all[seq..], await SseEvent.ReadAllAsync(here));
            Assert.Equal(all[seq..], await SseEvent.ReadAllAsync(there));
        }
    }

    [Fact]
    public async Task Places_that_are_not_in_the_log_are_refused()
    {
        var all = await Host.ChatToEndAsync(new() { Message = "a" });
        var run = all[0].RunId;

        async Task<HttpStatusCode> AskAsync(string? lastEventId, string query = "", RunId? id = null)
        {
            using var response = await RunsHost.EventsAsync(Host.Client, id ?? run, lastEventId, query);
            return response.StatusCode;
        }

        Assert.Equal(HttpStatusCode.NoContent, await AskAsync(all[^1].Id));
        Assert.Equal(HttpStatusCode.BadRequest, await AskAsync($"{run}.{all.Count + 1}"));
        Assert.Equal(HttpStatusCode.BadRequest, await AskAsync($"{run}.-1"));
        Assert.Equal(HttpStatusCode.BadRequest, await AskAsync($"{run}.99999999999999999999"));
        Assert.Equal(HttpStatusCode.BadRequest, await AskAsync($"{RunId.New()}.1"));
        Assert.Equal(HttpStatusCode.BadRequest, await AskAsync("7"));
        Assert.Equal(HttpStatusCode.BadRequest, await AskAsync(null, "?after=x"));
        Assert.Equal(HttpStatusCode.BadRequest, await AskAsync(null, "?starting_after=-1"));
        Assert.Equal(HttpStatusCode.NoContent, await AskAsync(null, $"?starting_after={all.Count}"));
        Assert.Equal(HttpStatusCode.NotFound, await AskAsync(null, id: RunId.New()));
        using var stranger = Host.ClientOf(OwnerId.New());
        using var foreign = await RunsHost.EventsAsync(stranger, run);
        Assert.Equal(HttpStatusCode.NotFound, foreign.StatusCode);
    }

    [Fact]
    public async Task A_log_past_its_retention_is_410_and_the_messages_stay()
    {
        var all = await Host.ChatToEndAsync(new() { Message = "a" });
        await Sql.ExecuteAsync(Database, "update agentflow_api.runs set log_expired = true");

        using var response = await RunsHost.EventsAsync(Host.Client, all[0].RunId);

        Assert.Equal(HttpStatusCode.Gone, response.StatusCode);
        Assert.Equal(2, (await HistoryAsync(all)).Count);
    }

    [Fact]
    public async Task Cancel_stops_the_agent_and_keeps_what_it_had_said()
    {
        Agent = TestAgents.Paused(GoOn.Task);
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "a" });
        var events = await ReadToAsync(response, "message.delta");

        using var cancel = await Host.Client.PostAsync($"/api/runs/{events.Current.RunId}/cancel", null, Ct);
        await ReadUntilAsync(events, "run.cancelled");
        using var again = await Host.Client.PostAsync($"/api/runs/{events.Current.RunId}/cancel", null, Ct);

        Assert.Equal(RunStatus.Cancelled, (await cancel.Content.ReadFromJsonAsync<RunState>(ContractJson.Options, Ct))!.Status);
        Assert.Equal("one ", Assert.IsType<RunCancelled>(events.Current.Parsed).Text);
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
        Assert.Equal(("one ", RunStatus.Cancelled), (await HistoryAsync([events.Current]))[^1] switch { var m => (m.Content, m.Status) });
        Assert.Empty(Host.Logs.At(LogLevel.Error));
    }

    [Fact]
    public async Task Cancelling_a_conversation_stops_what_runs_and_what_waits()
    {
        Agent = TestAgents.Paused(GoOn.Task);
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "first" });
        var first = await ReadToAsync(response, "message.delta");
        var conversation = (await Host.Client.GetFromJsonAsync<RunState>($"/api/runs/{first.Current.RunId}", ContractJson.Options, Ct))!.ConversationId;
        using var queued = await RunsHost.ChatAsync(Host.Client, new() { Message = "second", ConversationId = conversation, WhileRunning = WhileRunning.Enqueue });
        var second = await ReadToAsync(queued, "run.queued");

        using var cancel = await Host.Client.PostAsync($"/api/chat/{conversation}/cancel", null, Ct);
        await ReadUntilAsync(first, "run.cancelled");
        await ReadUntilAsync(second, "run.cancelled");

        Assert.Equal(HttpStatusCode.OK, cancel.StatusCode);
        Assert.Equal(("one ", ""), (Assert.IsType<RunCancelled>(first.Current.Parsed).Text, Assert.IsType<RunCancelled>(second.Current.Parsed).Text));
        Assert.Equal(0L, await Sql.ScalarAsync<long>(Database, "select count(*) from agentflow_api.runs where ended_at is null"));
    }

    [Fact]
    public async Task A_run_is_followed_and_cancelled_from_another_replica()
    {
        Agent = TestAgents.Paused(GoOn.Task);
        await using var other = await RunsHost.StartAsync(Database, TestAgents.EchoAsync);
        using var elsewhere = other.ClientOf(Host.Owner);
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "a" });
        var here = await ReadToAsync(response, "message.delta");
        using var followed = await RunsHost.EventsAsync(elsewhere, here.Current.RunId);
        var there = await ReadToAsync(followed, "message.delta");

        using var cancel = await elsewhere.PostAsync($"/api/runs/{here.Current.RunId}/cancel", null, Ct);

        await ReadUntilAsync(there, "run.cancelled");
        await ReadUntilAsync(here, "run.cancelled");
        Assert.Equal(here.Current, there.Current);
    }

    [Fact]
    public async Task A_second_message_is_rejected_queued_or_interrupts()
    {
        Agent = TestAgents.Paused(GoOn.Task);
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "first" });
        var first = await ReadToAsync(response, "run.started");
        var conversation = Assert.IsType<RunStarted>(first.Current.Parsed).ConversationId;

        using var rejected = await RunsHost.ChatAsync(Host.Client, new() { Message = "no", ConversationId = conversation });
        using var queued = await RunsHost.ChatAsync(Host.Client, new() { Message = "second", ConversationId = conversation, WhileRunning = WhileRunning.Enqueue });
        var second = await ReadToAsync(queued, "run.queued");
        Agent = TestAgents.EchoAsync;
        using var interrupting = await RunsHost.ChatAsync(Host.Client, new() { Message = "third", ConversationId = conversation, WhileRunning = WhileRunning.Interrupt });
        var third = await SseEvent.ReadAllAsync(interrupting);
        await ReadUntilAsync(first, "run.cancelled");
        await ReadUntilAsync(second, "run.cancelled");

        Assert.Equal(HttpStatusCode.Conflict, rejected.StatusCode);
        Assert.Equal(["run.queued", "run.started"], third.Take(2).Select(evt => evt.Type));
        Assert.Equal("You said: third", SseEvent.TextOf(third));
        var history = await HistoryAsync(third);
        Assert.Equal(["first", "second", "third"], history.Where(m => m.Role == ChatRole.User).Select(m => m.Content));
        Assert.Equal("third", history[^2].Content);
    }

    [Fact]
    public async Task Queued_messages_are_answered_in_order_with_the_answer_before_in_their_history()
    {
        var histories = new List<int>();
        Agent = async (run, writer, ct) =>
        {
            await GoOn.Task.WaitAsync(ct);
            lock (histories)
                histories.Add(run.History.Count);
            await TestAgents.EchoAsync(run, writer, ct);
        };
        using var first = await RunsHost.ChatAsync(Host.Client, new() { Message = "0" });
        var events = await ReadToAsync(first, "run.started");
        var conversation = Assert.IsType<RunStarted>(events.Current.Parsed).ConversationId;
        var waiting = new List<HttpResponseMessage>();
        for (var i = 1; i <= 4; i++)
            waiting.Add(await RunsHost.ChatAsync(Host.Client, new() { Message = $"{i}", ConversationId = conversation, WhileRunning = WhileRunning.Enqueue }));

        GoOn.SetResult();
        foreach (var response in waiting)
            await SseEvent.ReadAllAsync(response);

        var history = await HistoryAsync([events.Current], conversation);
        Assert.Equal(["0", "You said: 0", "1", "You said: 1", "2", "You said: 2", "3", "You said: 3", "4", "You said: 4"], history.Select(m => m.Content));
        Assert.Equal([0, 2, 4, 6, 8], histories);
    }

    [Fact]
    public async Task An_exception_is_one_failed_run_and_one_error_in_the_log()
    {
        Agent = async (_, writer, ct) =>
        {
            await writer.DeltaAsync("half", ct);
            throw new InvalidOperationException("secret detail");
        };

        var events = await Host.ChatToEndAsync(new() { Message = "a" });

        var failed = Assert.IsType<RunFailed>(events[^1].Parsed);
        Assert.Equal("internal", failed.Code);
        Assert.DoesNotContain("secret", events[^1].Data, StringComparison.Ordinal);
        Assert.Matches("^[0-9a-f]{32}$", failed.TraceId);
        Assert.Contains("secret detail", Assert.Single(Host.Logs.At(LogLevel.Error)), StringComparison.Ordinal);
        Assert.Equal(("half", RunStatus.Failed), (await HistoryAsync(events))[^1] switch { var m => (m.Content, m.Status) });
    }

    [Fact]
    public async Task A_provider_that_is_down_is_503_before_the_first_byte_and_an_event_after()
    {
        Agent = (_, _, _) => throw new RunFailedException("model_unavailable", "The model can not be reached.", 503, TimeSpan.FromSeconds(7));
        using var before = await RunsHost.ChatAsync(Host.Client, new() { Message = "a" });
        using var json = await RunsHost.ChatAsync(Host.Client, new() { Message = "a", Stream = false });
        Agent = async (_, writer, ct) =>
        {
            await writer.DeltaAsync("x", ct);
            throw new RunFailedException("model_unavailable", "The model can not be reached.");
        };
        var after = await Host.ChatToEndAsync(new() { Message = "a" });

        Assert.Equal((HttpStatusCode.ServiceUnavailable, 7d), (before.StatusCode, before.Headers.RetryAfter!.Delta!.Value.TotalSeconds));
        Assert.Equal((HttpStatusCode.ServiceUnavailable, 7d), (json.StatusCode, json.Headers.RetryAfter!.Delta!.Value.TotalSeconds));
        Assert.Equal("model_unavailable", Assert.IsType<RunFailed>(after[^1].Parsed).Code);
    }

    [Fact]
    public async Task An_answer_that_breaks_off_is_interrupted()
    {
        Agent = async (_, writer, ct) =>
        {
            await writer.DeltaAsync("ha", ct);
            throw new RunInterruptedException("cut");
        };

        var events = await Host.ChatToEndAsync(new() { Message = "a" });

        Assert.Equal("ha", Assert.IsType<RunInterrupted>(events[^1].Parsed).Text);
    }

    [Theory]
    [InlineData(OnDisconnect.Cancel, RunStatus.Cancelled)]
    [InlineData(OnDisconnect.Continue, RunStatus.Completed)]
    public async Task A_client_that_leaves_stops_its_run_only_if_it_said_so(OnDisconnect policy, RunStatus expected)
    {
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Agent = async (run, writer, ct) =>
        {
            try
            {
                await TestAgents.Paused(GoOn.Task)(run, writer, ct);
            }
            finally
            {
                stopped.TrySetResult();
            }
        };
        RunId id;
        using (var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "a", OnDisconnect = policy }))
        {
            var events = await ReadToAsync(response, "message.delta");
            id = events.Current.RunId;
        }

        if (policy == OnDisconnect.Cancel)
            await stopped.Task.WaitAsync(Ct);
        else
            GoOn.SetResult();
        using var rest = await RunsHost.EventsAsync(Host.Client, id);
        await SseEvent.ReadAllAsync(rest);
        var state = await Host.Client.GetFromJsonAsync<RunState>($"/api/runs/{id}", ContractJson.Options, Ct);
        Assert.Equal(expected, state!.Status);
    }

    [Fact]
    public async Task A_silent_stream_is_kept_alive_by_comments()
    {
        Agent = TestAgents.Paused(GoOn.Task);
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "a" });
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(Ct));
        var lines = new List<string?>();
        while (lines.Count(line => line == ": keep-alive") < 3)
            lines.Add(await reader.ReadLineAsync(Ct));
        GoOn.SetResult();

        Assert.Contains("run.completed", await reader.ReadToEndAsync(Ct), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stop_of_the_process_ends_every_stream_with_its_last_event()
    {
        Agent = TestAgents.Paused(GoOn.Task);
        var streams = new List<IAsyncEnumerator<SseEvent>>();
        for (var i = 0; i < 100; i++)
        {
            var events = await ReadToAsync(await RunsHost.ChatAsync(Host.Client, new() { Message = "a" }), "message.delta");
            streams.Add(events);
        }

        var started = TimeProvider.System.GetTimestamp();
        await Host.StopAsync();
        TestContext.Current.TestOutputHelper?.WriteLine($"Stopped within {TimeProvider.System.GetElapsedTime(started).TotalSeconds:0.00} s.");

        foreach (var events in streams)
        {
            await ReadUntilAsync(events, "run.interrupted");
            Assert.False(await events.MoveNextAsync());
        }

        Assert.Equal(0L, await Sql.ScalarAsync<long>(Database, "select count(*) from agentflow_api.runs where ended_at is null"));
    }

    private async Task<IReadOnlyList<HistoryMessage>> HistoryAsync(IEnumerable<SseEvent> events, ConversationId? conversation = null)
    {
        var state = await Host.Client.GetFromJsonAsync<RunState>($"/api/runs/{events.First().RunId}", ContractJson.Options, Ct);
        return (await Host.Client.GetFromJsonAsync<Page<HistoryMessage>>($"/api/chat/{conversation ?? state!.ConversationId}/history", ContractJson.Options, Ct))!.Items;
    }
}
