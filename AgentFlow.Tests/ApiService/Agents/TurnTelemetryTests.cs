using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using AgentFlow.ApiService;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Agents;

/// <summary>What a turn tells to telemetry: the names of the conventions, and content only where it was asked for.</summary>
public sealed class TurnTelemetryTests
{
    private const string Agent = ""","tools":[{"name":"calculate"}]""";

    [Fact]
    public async Task A_turn_has_a_span_for_each_part_and_no_content()
    {
        await using var turns = await TurnFixture.StartAsync(withProvider: true, Agent);
        using var recorded = new Recorder();

        var spans = await SpansOfATurnAsync(turns, recorded);

        Assert.Equal(
            ["chat scripted", "chat scripted", "execute_tool calculate", "invoke_agent default", "retrieval documents", "search_memory"],
            spans.Select(span => span.OperationName).Where(name => name != "run").Order(StringComparer.Ordinal));
        var chat = spans.First(span => span.OperationName == "chat scripted");
        Assert.Equal(
            ("chat", "scripted", (object)12L, true),
            (chat.GetTagItem("gen_ai.operation.name"), chat.GetTagItem("gen_ai.request.model"), chat.GetTagItem("gen_ai.usage.input_tokens"), chat.GetTagItem("gen_ai.request.stream")));
        Assert.NotNull(chat.GetTagItem("gen_ai.provider.name"));
        Assert.Equal((turns.Provider.Endpoint.Host, (object)turns.Provider.Endpoint.Port), (chat.GetTagItem("server.address"), chat.GetTagItem("server.port")));
        Assert.Null(spans.Single(span => span.OperationName == "invoke_agent default").GetTagItem("error.type"));
        var tool = Assert.Single(spans, span => span.OperationName == "execute_tool calculate");
        Assert.Equal(("calculate", "function"), (tool.GetTagItem("gen_ai.tool.name"), tool.GetTagItem("gen_ai.tool.type")));
        Assert.DoesNotContain(spans.SelectMany(span => span.TagObjects), tag => tag.Value?.ToString()?.Contains("heron", StringComparison.Ordinal) is true);
        Assert.Superset(
            new HashSet<string>(StringComparer.Ordinal)
            {
                "gen_ai.client.token.usage", "gen_ai.client.operation.duration", "gen_ai.client.operation.time_to_first_chunk", "gen_ai.client.operation.time_per_output_chunk",
                "gen_ai.invoke_agent.duration", "gen_ai.execute_tool.duration", "agentflow.recall.duration",
            },
            recorded.Instruments);
    }

    [Fact]
    public async Task A_turn_that_fails_is_measured_as_one_with_its_code()
    {
        await using var turns = await TurnFixture.StartAsync(withProvider: true, Agent);
        using var recorded = new Recorder();
        turns.Provider.Respond = _ => Script.Fail(401, "invalid_api_key");

        using var response = await turns.SendAsync(new() { Message = "What now?", Stream = false });

        Assert.Equal(System.Net.HttpStatusCode.ServiceUnavailable, response.StatusCode);
        await Patience.UntilAsync(() => Task.FromResult(recorded.Turns.Contains("model_refused")), "the measured turn");
        var agent = await Patience.UntilAsync(
            () => Task.FromResult(recorded.Ended.FirstOrDefault(span => span.OperationName == "invoke_agent default" && span.GetTagItem("error.type") is "model_refused")), span => span is not null, "the span");
        Assert.Equal(ActivityStatusCode.Error, agent!.Status);
    }

    [Fact]
    public async Task Content_is_on_the_spans_where_it_was_switched_on()
    {
        await using var turns = await TurnFixture.StartAsync(withProvider: true, Agent, ("Telemetry:Content", "true"));
        using var recorded = new Recorder();

        var spans = await SpansOfATurnAsync(turns, recorded);

        var chats = spans.Where(span => span.OperationName == "chat scripted").ToList();
        Assert.All(chats, chat => Assert.Contains("heron", (string)chat.GetTagItem("gen_ai.input.messages")!, StringComparison.Ordinal));
        Assert.Contains(chats, chat => chat.GetTagItem("gen_ai.output.messages") is """[{"role":"assistant","parts":[{"type":"text","content":"It is 42."}]}]""");
        Assert.Equal("""{"value":42}""", Assert.Single(spans, span => span.OperationName == "execute_tool calculate").GetTagItem("gen_ai.tool.call.result"));
    }

    private static async Task<List<Activity>> SpansOfATurnAsync(TurnFixture turns, Recorder recorded)
    {
        turns.Provider.Enqueue(Script.CallTools(("calculate", """{"expression":"6*7"}""")), Script.Say("It is ", "42."));
        var events = await turns.AskAsync("What has a heron to do with 6 times 7?");
        Assert.IsType<RunCompleted>(events[^1]);
        var run = ((RunStarted)events[0]).RunId.ToString();

        // The outermost span ends after the last event is out.
        Activity? agent;
        while ((agent = recorded.Ended.FirstOrDefault(span => span.GetTagItem("agentflow.run.id") as string == run)) is null)
            await Task.Delay(20, TestContext.Current.CancellationToken);
        return [.. recorded.Ended.Where(span => span.TraceId == agent.TraceId && span.Source.Name == Telemetry.SourceName)];
    }

    /// <summary>Hears everything that the process tells, also what tests beside this one cause.</summary>
    private sealed class Recorder : IDisposable
    {
        private readonly ActivityListener _spans;
        private readonly MeterListener _meters = new();
        private readonly ConcurrentDictionary<string, byte> _instruments = new(StringComparer.Ordinal);

        public Recorder()
        {
            _spans = new ActivityListener
            {
                ShouldListenTo = source => source.Name == Telemetry.SourceName,
                Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = Ended.Enqueue,
            };
            ActivitySource.AddActivityListener(_spans);
            _meters.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == Telemetry.SourceName)
                    listener.EnableMeasurementEvents(instrument);
            };
            _meters.SetMeasurementEventCallback<long>((instrument, _, _, _) => _instruments.TryAdd(instrument.Name, 0));
            _meters.SetMeasurementEventCallback<double>((instrument, _, tags, _) =>
            {
                _instruments.TryAdd(instrument.Name, 0);
                if (instrument.Name == "gen_ai.invoke_agent.duration")
                    Turns.Enqueue(tags.ToArray().FirstOrDefault(tag => tag.Key == "error.type").Value as string);
            });
            _meters.Start();
        }

        public ConcurrentQueue<Activity> Ended { get; } = [];

        /// <summary>How turns ended; null: well.</summary>
        public ConcurrentQueue<string?> Turns { get; } = [];

        public ISet<string> Instruments => _instruments.Keys.ToHashSet(StringComparer.Ordinal);

        public void Dispose()
        {
            _spans.Dispose();
            _meters.Dispose();
        }
    }
}
