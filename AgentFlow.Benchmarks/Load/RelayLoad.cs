using System.Diagnostics;
using System.Text;
using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Models.OpenAICompatible;
using AgentFlow.ApiService.OutputFilter;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging.Abstractions;

namespace AgentFlow.Benchmarks.Load;

/// <summary>
/// What the way of a 50-token stream through our own code costs, without HTTP of ours and without a database: parsing, time limits, failover,
/// usage, output filter and citations. Provider, client and pipeline share the machine.
/// </summary>
internal static class RelayLoad
{
    private const int Serial = 2_000;
    private const int Parallel = 32;
    private const double GoalMs = 1;

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        await using var provider = await ScriptedProvider.StartAsync();
        provider.KeepsRequests = false;
        var script = Script.Say([.. Enumerable.Range(0, 50).Select(i => $"word{i} ")]);
        provider.Respond = _ => script;
        using var http = new HttpClient();
        var settings = new ProviderOptions { Name = "scripted", Endpoint = provider.Endpoint.ToString(), Model = "scripted" };
        using var timed = new TimeLimits(new OpenAIChatClient(http, settings, TimeProvider.System), settings, TimeProvider.System);
        using var measured = new Measured(timed, "scripted", "scripted", settings, TimeProvider.System);
        using var client = new Failover(
            [new ProviderRoute(settings, measured, new CircuitBreaker(TimeProvider.System))], TimeProvider.System, NullLogger<Failover>.Instance);

        var direct = await MeasureAsync(() => DirectAsync(http, provider, ct));
        var relayed = await MeasureAsync(() => RelayAsync(client, ct));
        var perSecond = await ThroughputAsync(() => RelayAsync(client, ct));
        Console.WriteLine($"direct p50 {direct:0.000} ms; through the pipeline p50 {relayed:0.000} ms, added {relayed - direct:0.000} ms (goal {GoalMs} ms); {Parallel} in parallel {perSecond:0}/s");
        return relayed - direct <= GoalMs ? 0 : 1;
    }

    private static async Task DirectAsync(HttpClient http, ScriptedProvider provider, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, provider.Endpoint + "/chat/completions")
        {
            Content = new StringContent("""{"model":"scripted","stream":true,"messages":[{"role":"user","content":"Hello"}]}""", Encoding.UTF8, "application/json"),
        };
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        await using var body = await response.Content.ReadAsStreamAsync(ct);
        await body.CopyToAsync(Stream.Null, ct);
    }

    private static async Task RelayAsync(IChatClient client, CancellationToken ct)
    {
        var writer = new RunWriter(RunId.New(), (_, _) => ValueTask.CompletedTask);
        var answer = new AnswerStream(new AnswerFilter("You help people briefly and exactly.", ["Hello"]), Array.Empty<Passage>(), writer);
        await foreach (var update in client.GetStreamingResponseAsync([new ChatMessage(ChatRole.User, "Hello")], null, ct))
        {
            if (update.Text.Length > 0)
                await answer.WriteAsync(update.Text, ct);
        }

        await answer.EndAsync(ct);
    }

    private static async Task<double> MeasureAsync(Func<Task> stream)
    {
        for (var i = 0; i < Serial / 4; i++)
            await stream();
        var times = new double[Serial];
        for (var i = 0; i < Serial; i++)
        {
            var startedAt = Stopwatch.GetTimestamp();
            await stream();
            times[i] = Stopwatch.GetElapsedTime(startedAt).TotalMilliseconds;
        }

        Array.Sort(times);
        return times[Serial / 2];
    }

    private static async Task<double> ThroughputAsync(Func<Task> stream)
    {
        var startedAt = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Parallel).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < Serial / 4; i++)
                await stream();
        })));
        return Serial / 4 * Parallel / Stopwatch.GetElapsedTime(startedAt).TotalSeconds;
    }
}
