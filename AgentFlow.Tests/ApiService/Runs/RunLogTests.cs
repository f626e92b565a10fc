using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentFlow.Tests.ApiService.Runs;

public sealed class RunLogTests() : OneHostTests(("Runs:Heartbeat", "00:00:00.1"), ("Runs:Lease", "00:00:02"))
{
    [Fact]
    public async Task No_event_is_published_before_it_is_committed()
    {
        await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            await using var connection = new NpgsqlConnection(Database);
            await connection.OpenAsync(Ct);
            using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = string.Join(' ', Enumerable.Range(0, 30)) });
            await foreach (var evt in SseEvent.ReadAsync(response))
            {
                await using var look = new NpgsqlCommand("select data from agentflow_api.run_events where run_id = $1 and seq = $2", connection)
                {
                    Parameters = { new() { Value = evt.RunId.Value }, new() { Value = evt.Seq } },
                };
                Assert.Equal(evt.Data, System.Text.Encoding.UTF8.GetString((byte[])(await look.ExecuteScalarAsync(Ct))!));
            }
        }));
    }

    [Fact]
    public async Task Many_runs_share_commits_and_each_log_is_complete()
    {
        Agent = async (_, writer, ct) =>
        {
            for (var i = 0; i < 100; i++)
            {
                await writer.DeltaAsync($"{i} ", ct);
                if (i % 10 == 0)
                    await Task.Yield();
            }
        };
        var log = Host.Services.GetRequiredService<RunLog>();
        var before = log.Written;

        var runs = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => Host.ChatToEndAsync(new() { Message = "a" })));

        var expected = string.Concat(Enumerable.Range(0, 100).Select(i => $"{i} "));
        Assert.All(runs, events =>
        {
            Assert.Equal(expected, SseEvent.TextOf(events));
            Assert.Equal(Enumerable.Range(1, events.Count).Select(i => (long)i), events.Select(evt => evt.Seq));
            Assert.Equal(1, events.Count(evt => evt.IsTerminal));
        });
        Assert.InRange(log.Written.Commits - before.Commits, 1, 1_000);
    }

    [Fact]
    public async Task A_writer_with_an_old_fence_changes_nothing()
    {
        Agent = TestAgents.Paused(GoOn.Task);
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "a" });
        var events = await ReadToAsync(response, "message.delta");

        var last = events.Current.Seq;
        await Sql.ExecuteAsync(Database, "update agentflow_api.runs set fence = fence + 1");
        GoOn.SetResult();

        // The run is nobody's now: the next heartbeat adopts it and closes its log with what was committed.
        Assert.True(await events.MoveNextAsync());
        Assert.Equal((last + 1, "run.interrupted"), (events.Current.Seq, events.Current.Type));
        Assert.Equal("one ", Assert.IsType<RunInterrupted>(events.Current.Parsed).Text);
        Assert.Equal(last + 1, await Sql.ScalarAsync<long>(Database, "select max(seq) from agentflow_api.run_events"));
        Assert.Equal(0L, await Sql.ScalarAsync<long>(Database, "select count(*) from agentflow_api.messages where content = 'one two'"));
    }

    [Fact]
    public async Task The_runs_of_a_dead_process_are_closed_with_their_partial_text()
    {
        Agent = TestAgents.Paused(GoOn.Task);
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "a" });
        var events = await ReadToAsync(response, "message.delta");

        // As a process leaves it that was killed: its lease runs out and its run stays open.
        await Sql.ExecuteAsync(Database, "update agentflow_api.runs set host_id = gen_random_uuid(), fence = fence + 1");
        await using var other = await RunsHost.StartAsync(Database, TestAgents.EchoAsync, ("Runs:Heartbeat", "00:00:00.1"), ("Runs:Lease", "00:00:02"));
        using var client = other.ClientOf(Host.Owner);
        using var resumed = await RunsHost.EventsAsync(client, events.Current.RunId, events.Current.Id);

        var rest = await SseEvent.ReadAllAsync(resumed);

        Assert.Equal("one ", Assert.IsType<RunInterrupted>(Assert.Single(rest).Parsed).Text);
        Assert.Equal(1L, await Sql.ScalarAsync<long>(Database, "select count(*) from agentflow_api.messages where content = 'one ' and status = 6"));
    }

    [Theory]
    [InlineData("", RunStatus.Completed)]
    [InlineData("update agentflow_api.runs set status = 6, ended_at = now() where position = 1; update agentflow_api.runs set status = 1 where position = 2;", RunStatus.Completed)]
    [InlineData("update agentflow_api.runs set cancel_requested = true where position = 2;", RunStatus.Cancelled)]
    public async Task A_message_that_waited_for_its_turn_when_its_process_died_is_answered_once(string before, RunStatus expected)
    {
        Agent = TestAgents.Paused(GoOn.Task);
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "first" });
        var events = await ReadToAsync(response, "message.delta");
        var request = new ChatRequest
        {
            Message = "second", ConversationId = await ConversationAsync(events.Current.RunId), WhileRunning = WhileRunning.Enqueue, Agent = "other",
            Context = JsonSerializer.SerializeToElement(new { page = "7" }), SelectedText = "a passage",
        };
        using var queued = await RunsHost.ChatAsync(Host.Client, request);
        var waiting = await ReadToAsync(queued, "run.queued");
        var run = waiting.Current.RunId;
        var asked = new ConcurrentQueue<RunContext>();
        Agent = async (context, writer, ct) =>
        {
            asked.Enqueue(context);
            await TestAgents.EchoAsync(context, writer, ct);
        };
        await using var other = await RunsHost.StartAsync(Database, Agent, ("Runs:Heartbeat", "00:00:00.1"), ("Runs:Lease", "00:00:02"));

        // As a process leaves them that was killed: before the run's turn, or between its turn and its first word, or after a wish to stop it.
        await Sql.ExecuteAsync(Database, before + "update agentflow_api.runs set host_id = gen_random_uuid(), fence = fence + 1 where ended_at is null; delete from agentflow_api.run_hosts");
        using var client = other.ClientOf(Host.Owner);
        using var resumed = await RunsHost.EventsAsync(client, run, waiting.Current.Id);
        var rest = await SseEvent.ReadAllAsync(resumed);

        var state = await client.GetFromJsonAsync<RunState>($"/api/runs/{run}", ContractJson.Options, Ct);
        Assert.Equal((expected, 1), (state!.Status, rest.Count(evt => evt.IsTerminal)));
        if (expected == RunStatus.Cancelled)
        {
            Assert.Empty(asked);
            return;
        }

        Assert.Equal(("run.started", "You said: second"), (rest[0].Type, SseEvent.TextOf(rest)));
        var context = Assert.Single(asked);
        Assert.Equal(("other", "7", "a passage"), (context.Agent.Slug, context.Context!.Value.GetProperty("page").GetString(), context.SelectedText));
        Assert.Equal("first", Assert.Single(context.History, turn => turn.Role == ChatRole.User).Content);
    }

    [Fact]
    public async Task A_process_that_lost_its_lease_stops_its_runs_and_goes_on_under_another_name()
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
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "a" });
        await Sql.ExecuteAsync(Database, "delete from agentflow_api.run_hosts");
        await stopped.Task.WaitAsync(Ct);
        var events = await SseEvent.ReadAllAsync(response);
        Agent = TestAgents.EchoAsync;

        Assert.Equal("run.interrupted", events[^1].Type);
        Assert.Equal("run.completed", (await Host.ChatToEndAsync(new() { Message = "b" }))[^1].Type);
    }

    [Fact]
    public async Task A_reader_that_is_far_behind_gets_every_event_from_the_log()
    {
        Agent = async (_, writer, ct) =>
        {
            for (var i = 0; i < 3_000; i++)
            {
                await writer.EmitAsync(new FilterApplied { Kind = $"{i}" }, ct);
            }
        };
        var events = await Host.ChatToEndAsync(new() { Message = "a" });

        Assert.Equal(Enumerable.Range(0, 3_000).Select(i => $"{i}"), events.Select(evt => evt.Parsed).OfType<FilterApplied>().Select(evt => evt.Kind));
    }

    [Fact]
    public async Task A_null_character_or_half_a_surrogate_from_a_model_does_not_break_the_log()
    {
        Agent = async (_, writer, ct) =>
        {
            await writer.DeltaAsync("a\0b \ud83d", ct);
            await writer.DeltaAsync("\ude00 c", ct);
            await writer.DeltaAsync("\ud83d", ct);
        };

        var events = await Host.ChatToEndAsync(new() { Message = "a" });

        var text = Assert.IsType<RunCompleted>(events[^1].Parsed).Text;
        Assert.Equal("a\ufffdb \ud83d\ude00 c", text.TrimEnd('\ufffd'));
        Assert.Equal(text, SseEvent.TextOf(events));
        Assert.Equal(text, await Sql.ScalarAsync<string>(Database, "select content from agentflow_api.messages where role = 1"));
    }

    [Fact]
    public async Task What_the_database_refuses_once_is_tried_again_and_written_once()
    {
        Agent = TestAgents.Paused(GoOn.Task);
        using var response = await RunsHost.ChatAsync(Host.Client, new() { Message = "a" });
        var events = await ReadToAsync(response, "message.delta");

        await Sql.ExecuteAsync(Database, "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()");
        GoOn.SetResult();
        var rest = new List<SseEvent>();
        while (await events.MoveNextAsync())
            rest.Add(events.Current);

        Assert.Equal("two", SseEvent.TextOf(rest));
        Assert.Equal("one two", Assert.IsType<RunCompleted>(rest[^1].Parsed).Text);
    }

    [Fact]
    public async Task The_mark_of_an_answer_is_set_by_its_key_whatever_else_there_is()
    {
        var sql = RunWriter.MarkUntrusted.Replace("$1", $"'{Guid.CreateVersion7()}'", StringComparison.Ordinal);

        var plan = await Sql.ScalarAsync<string>(Database, $"set search_path to agentflow_api; set enable_seqscan to off; explain (format json) {sql}");

        Assert.Contains("(id = r.answer_id)", plan, StringComparison.Ordinal);
    }

    private async Task<ConversationId> ConversationAsync(RunId run) =>
        (await Host.Client.GetFromJsonAsync<RunState>($"/api/runs/{run}", ContractJson.Options, Ct))!.ConversationId;
}
