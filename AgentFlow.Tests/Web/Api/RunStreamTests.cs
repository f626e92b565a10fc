using System.Globalization;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Tests.Support;
using AgentFlow.Web.Api;
using AgentFlow.Web.Sessions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.Web.Api;

/// <summary>The client of run events against a real server that cuts, stalls and repeats, in the wire's own format.</summary>
public sealed class RunStreamTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_event_comes_once_however_often_the_connection_breaks()
    {
        for (var seed = 0; seed < 3; seed++)
        {
            var random = new Random(seed);
            var log = Log(20);
            await using var server = await CuttingServer.StartAsync(log, () => random.Next(0, 12));
            var interruptions = 0;
            var read = new List<RunEvent>();
            await foreach (var evt in server.Stream().StartAsync(new ChatRequest { Message = "hi" }, connected => interruptions += connected ? 0 : 1, Ct))
                read.Add(evt);
            Assert.Equal(log.Select(evt => evt.Seq), read.Select(evt => evt.Seq));
            Assert.Equal(string.Concat(log.OfType<MessageDelta>().Select(delta => delta.Text)), string.Concat(read.OfType<MessageDelta>().Select(delta => delta.Text)));
            Assert.True(interruptions > 0);
        }
    }

    [Fact]
    public async Task A_start_whose_answer_was_lost_is_repeated_with_the_same_key()
    {
        var log = Log(3);
        var cuts = new Queue<int>([0, 0, 99]);
        await using var server = await CuttingServer.StartAsync(log, () => cuts.Dequeue());
        var read = new List<RunEvent>();
        await foreach (var evt in server.Stream().StartAsync(new ChatRequest { Message = "hi" }, _ => { }, Ct))
            read.Add(evt);
        Assert.Equal(log.Count, read.Count);
        Assert.Equal(3, server.Keys.Count);
        Assert.Single(server.Keys.Distinct(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Types_that_are_not_known_are_skipped()
    {
        var log = Log(2);
        await using var server = await CuttingServer.StartAsync(log, () => 99, unknownFirst: true);
        var read = new List<RunEvent>();
        await foreach (var evt in server.Stream().AttachAsync(log[0].RunId, 0, _ => { }, Ct))
            read.Add(evt);
        Assert.Equal(log.Count, read.Count);
    }

    [Fact]
    public async Task A_refusal_is_told_with_its_words_and_trace()
    {
        await using var server = await CuttingServer.StartAsync([], () => 99, refuse: true);
        var refusal = await Assert.ThrowsAsync<ApiException>(async () =>
        {
            await foreach (var evt in server.Stream().StartAsync(new ChatRequest { Message = "hi" }, _ => { }, Ct))
                Assert.Fail(evt.ToString());
        });
        Assert.Equal((409, "run_active", "An answer is being written.", "abc"), (refusal.Problem.Status, refusal.Problem.Code, refusal.Problem.Detail, refusal.Problem.TraceId));
    }

    private static List<RunEvent> Log(int deltas)
    {
        var run = RunId.New();
        RunEvent[] events =
        [
            new RunStarted { ConversationId = ConversationId.New(), MessageId = MessageId.New(), Agent = "default", Model = "test" },
            new ContextRecalled { Memories = [], Chunks = [new RecalledChunk(DocumentId.New(), ChunkId.New(), "a", Start: 0, End: 1, Text: "x", Score: 0.5)] },
            .. Enumerable.Range(0, deltas).Select(i => new MessageDelta { Text = $"wörd{i}\n " }),
            new RunCompleted { MessageId = MessageId.New(), Text = "done" },
        ];
        return [.. events.Select((evt, i) => evt with { RunId = run, Seq = i + 1 })];
    }

    /// <summary>Serves one log; each connection is aborted after a number of events that the test chooses.</summary>
    private sealed class CuttingServer(WebApplication app) : IAsyncDisposable
    {
        private readonly ServiceProvider _client = StandInApi.ClientOf(app);

        public List<string> Keys { get; } = [];

        public static async Task<CuttingServer> StartAsync(List<RunEvent> log, Func<int> cutAfter, bool unknownFirst = false, bool refuse = false)
        {
            var app = StandInApi.Create();
            CuttingServer? server = null;
            async Task Serve(HttpContext context)
            {
                if (refuse)
                {
                    context.Response.StatusCode = StatusCodes.Status409Conflict;
                    await context.Response.WriteAsJsonAsync(new { detail = "An answer is being written.", code = "run_active", traceId = "abc" }, context.RequestAborted);
                    return;
                }

                lock (server!.Keys)
                    server.Keys.AddRange(context.Request.Headers["Idempotency-Key"].OfType<string>());
                var last = context.Request.Headers["Last-Event-ID"].ToString();
                var after = last.Length == 0 ? 0 : int.Parse(last[(last.LastIndexOf('.') + 1)..], CultureInfo.InvariantCulture);
                var left = cutAfter();
                if (left == 0)
                {
                    context.Abort();
                    return;
                }

                context.Response.ContentType = "text/event-stream";
                await context.Response.WriteAsync(": hello\n\n", context.RequestAborted);
                if (unknownFirst)
                    await context.Response.WriteAsync($"id: {log[0].RunId}.0\nevent: future.thing\ndata: {{\"type\":\"future.thing\"}}\n\n", context.RequestAborted);
                foreach (var evt in log.Where(evt => evt.Seq > after))
                {
                    // A clean end in the middle: an abort here could take back what the client has not read yet.
                    if (left-- <= 0)
                        return;

                    var json = JsonSerializer.Serialize(evt, ContractJson.Options);
                    using var parsed = JsonDocument.Parse(json);
                    await context.Response.WriteAsync($"id: {evt.RunId}.{evt.Seq}\nevent: {parsed.RootElement.GetProperty("type").GetString()}\ndata: {json}\n\n", context.RequestAborted);
                }
            }

            app.MapPost("/api/chat", Serve);
            app.MapGet("/api/runs/{id}/events", Serve);
            await app.StartAsync(Ct);
            return server = new CuttingServer(app);
        }

        public RunStream Stream() => _client.CreateScope().ServiceProvider.GetRequiredService<RunStream>();

        public async ValueTask DisposeAsync()
        {
            await _client.DisposeAsync();
            await app.DisposeAsync();
        }
    }
}
