using System.Net;
using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentFlow.Tests.ApiService.Runs;

/// <summary>Runs that begin at once are written in one transaction; each is refused, or not, by itself.</summary>
public sealed class RunStartTests() : OneHostTests()
{
    [Fact]
    public async Task One_that_is_refused_leaves_the_others_alone()
    {
        await Host.ChatToEndAsync(new() { Message = "first" });
        var known = new ConversationId(await Sql.ScalarAsync<Guid>(Database, "select id from agentflow_api.conversations"));
        Agent = TestAgents.Paused(GoOn.Task);

        var responses = await Task.WhenAll(Enumerable.Range(0, 30).Select(i =>
            RunsHost.ChatAsync(Host.Client, new() { Message = $"{i}", ConversationId = i % 3 == 0 ? known : null })));
        GoOn.SetResult();

        var (same, others) = (responses.Where((_, i) => i % 3 == 0).ToArray(), responses.Where((_, i) => i % 3 != 0).ToArray());
        Assert.All(others, response => Assert.Equal(HttpStatusCode.OK, response.StatusCode));
        Assert.Single(same, response => response.StatusCode == HttpStatusCode.OK);
        Assert.Equal(9, same.Count(response => response.StatusCode == HttpStatusCode.Conflict));
        foreach (var response in responses.Where(response => response.IsSuccessStatusCode))
            Assert.Equal("run.completed", (await SseEvent.ReadAllAsync(response))[^1].Type);
        Assert.Equal(22L, await Sql.ScalarAsync<long>(Database, "select count(*) from agentflow_api.runs"));
        Assert.Equal(22L, await Sql.ScalarAsync<long>(Database, "select count(*) from agentflow_api.messages where role = 0"));
    }

    [Fact]
    public async Task Many_that_begin_while_one_is_written_are_written_together()
    {
        var log = Host.Services.GetRequiredService<RunLog>();
        await using var connection = new NpgsqlConnection(Database);
        await connection.OpenAsync(Ct);
        await using var transaction = await connection.BeginTransactionAsync(Ct);
        await using (var hold = new NpgsqlCommand("lock table agentflow_api.run_events in exclusive mode", connection, transaction))
            await hold.ExecuteNonQueryAsync(Ct);
        var first = Host.ChatToEndAsync(new() { Message = "first" });
        while (await Sql.ScalarAsync<long>(Database, "select count(*) from pg_locks where not granted and relation = 'agentflow_api.run_events'::regclass") == 0)
            await Task.Delay(TimeSpan.FromMilliseconds(10), Ct);
        var others = Enumerable.Range(0, 19).Select(i => Host.ChatToEndAsync(new() { Message = $"{i}" })).ToArray();
        while (log.Pending < others.Length)
            await Task.Delay(TimeSpan.FromMilliseconds(10), Ct);

        await transaction.RollbackAsync(Ct);

        foreach (var events in await Task.WhenAll(others.Append(first)))
            Assert.Equal("run.completed", events[^1].Type);
        Assert.Equal(2L, await Sql.ScalarAsync<long>(Database, "select count(distinct xmin::text) from agentflow_api.run_events where seq = 1"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task None_begins_in_a_conversation_that_is_gone_or_another_s(bool isAnothers)
    {
        await Host.ChatToEndAsync(new() { Message = "hers" });
        var conversation = isAnothers ? new ConversationId(await Sql.ScalarAsync<Guid>(Database, "select id from agentflow_api.conversations")) : ConversationId.New();
        var request = new RunRequest { Owner = OwnerId.New(), Question = "mine", ConversationId = conversation };
        var plan = RunPlan.Make(request, new(), new(new AgentDefinition { Slug = "test" }, "test-model"), isQueued: false);
        var (run, first) = (plan.Context, new RunStarted { ConversationId = conversation, MessageId = plan.Context.MessageId, Agent = "test", Model = "test-model" });
        var handle = new RunHandle(run.RunId, run.OwnerId, conversation, fence: 1, lastSeq: 0);

        var refused = await Assert.ThrowsAsync<ProblemException>(() =>
            Host.Services.GetRequiredService<RunLog>().BeginAsync(handle, first, new(request, plan, Guid.CreateVersion7()), Ct));

        Assert.Equal((404, "not_found"), (refused.Status, refused.Code));
        Assert.True(handle.Stopping.IsCancellationRequested);
        Assert.Equal(1L, await Sql.ScalarAsync<long>(Database, "select count(*) from agentflow_api.runs"));
        Assert.Equal(0L, await Sql.ScalarAsync<long>(Database, "select count(*) from agentflow_api.messages where content = 'mine'"));
        Assert.Equal("run.completed", (await Host.ChatToEndAsync(new() { Message = "after it" }))[^1].Type);
    }
}
