using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Runs;
using AgentFlow.ApiService.Tools;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace AgentFlow.Tests.ApiService.Tools;

/// <summary>Whatever a tool does, its call ends with one event and one result for the model.</summary>
public sealed class ToolRunnerTests
{
    private readonly List<RunEvent> _events = [];

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_tool_that_does_not_answer_is_left_at_its_limit()
    {
        var failure = await FailureOfAsync(async () =>
        {
            // Without listening to anybody.
            await Task.Delay(Timeout.Infinite, CancellationToken.None);
            return "";
        }, new() { Timeout = TimeSpan.FromMilliseconds(50) });

        Assert.Equal(("TIMEOUT", true), (failure.Code, failure.Recoverable));
    }

    [Fact]
    public async Task What_a_tool_throws_is_its_failure_and_nothing_inner_is_told()
    {
        var failure = await FailureOfAsync(() => throw new InvalidOperationException("secret detail"), new());

        Assert.Equal(("INTERNAL_ERROR", false), (failure.Code, failure.Recoverable));
        Assert.DoesNotContain("secret", failure.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_long_result_is_cut_with_a_notice()
    {
        var results = await RunAsync(() => Task.FromResult(new string('x', 5_000)), new() { MaxResultCharacters = 1_000 }, calls: 1);

        Assert.Equal($"{new string('x', 1_000)}\n(cut here: 4000 of 5000 characters are left out)", results[0].Result);
    }

    [Fact]
    public void The_limit_is_30_seconds_unless_somebody_says_otherwise() =>
        Assert.Equal((TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(30)), (new ToolOptions().Timeout, new McpServerOptions().Timeout));

    [Fact]
    public void What_is_spent_waiting_for_people_is_counted_once_for_all_calls()
    {
        var clock = new ManualClock();
        var session = new ToolSession(Run(), new RunWriter(RunId.New(), (_, _) => ValueTask.CompletedTask), new Dictionary<string, (Tool, ToolPolicyKind)>(StringComparer.Ordinal));
        session.BeginWait(clock);
        clock.Advance(TimeSpan.FromSeconds(10));
        session.BeginWait(clock);
        clock.Advance(TimeSpan.FromSeconds(10));
        session.EndWait(clock);
        clock.Advance(TimeSpan.FromSeconds(10));
        session.EndWait(clock);
        clock.Advance(TimeSpan.FromSeconds(10));

        Assert.Equal(TimeSpan.FromSeconds(30), session.Waited);
    }

    [Fact]
    public async Task No_more_calls_run_side_by_side_than_allowed_and_results_keep_their_order()
    {
        var (running, most, made) = (0, 0, 0);
        var gate = new Lock();
        var results = await RunAsync(
            async () =>
            {
                string name;
                lock (gate)
                {
                    most = Math.Max(most, ++running);
                    name = $"{made++}";
                }

                await Task.Delay(5, Ct);
                lock (gate)
                    running--;
                return name;
            },
            new() { MaxParallel = 2 },
            calls: 7);

        Assert.InRange(most, 1, 2);
        Assert.Equal(Enumerable.Range(0, 7).Select(i => $"call-{i}"), results.Select(result => result.CallId));
        Assert.Equal(7, _events.OfType<ToolReturned>().Count());
    }

    private static RunContext Run() => new()
    {
        RunId = RunId.New(), OwnerId = OwnerId.New(), ConversationId = ConversationId.New(), MessageId = MessageId.New(), UserMessageId = MessageId.New(),
        Agent = new() { Slug = "test" }, Model = "m", Question = "q", History = [],
    };

    private async Task<ToolFailure> FailureOfAsync(Func<Task<string>> tool, ToolOptions options)
    {
        await RunAsync(tool, options, calls: 1);
        return Assert.Single(_events.OfType<ToolReturned>()).Error!;
    }

    private Task<IReadOnlyList<FunctionResultContent>> RunAsync(Func<Task<string>> tool, ToolOptions options, int calls)
    {
        var run = Run();
        var writer = new RunWriter(run.RunId, (evt, _) =>
        {
            lock (_events)
                _events.Add(evt);
            return ValueTask.CompletedTask;
        });
        var granted = new Dictionary<string, (Tool, ToolPolicyKind)>(StringComparer.Ordinal)
        {
            ["work"] = (new Tool(AIFunctionFactory.Create(tool, "work"), HasSideEffects: false, GivesUntrustedText: false), ToolPolicyKind.Allow),
        };
        var runner = new ToolRunner(null!, Options.Create(options), Options.Create(new ContentTelemetryOptions()), TimeProvider.System, NullLogger<ToolRunner>.Instance);
        return runner.RunAsync(new(run, writer, granted), [.. Enumerable.Range(0, calls).Select(i => new FunctionCallContent($"call-{i}", "work"))], calls, Ct);
    }
}
