using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.Support;
using AgentFlow.Tests.Web.Api;
using AgentFlow.Web.Api;
using AgentFlow.Web.State;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.Web.State;

/// <summary>A page's conversation against a server that goes on while the page reads.</summary>
public sealed class ConversationSessionTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Wherever between the page's requests the answer ends, the page shows all of it.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task An_answer_that_ends_while_the_page_is_loaded_is_shown(int endsAfter)
    {
        var server = new EndingServer(endsAfter);
        await using var app = await server.StartAsync();
        await using var clients = StandInApi.ClientOf(app);
        using var session = Session(clients);
        await session.OpenAsync(server.Id);

        Assert.Null(session.Problem);
        Assert.False(session.IsBusy || session.IsLoading);
        Assert.Equal(["How long?", "Six weeks."], session.State.Branch().Select(message => message.Text));
        Assert.Equal(RunStatus.Completed, session.State.Branch()[^1].Status);
    }

    [Theory]
    [InlineData(StatusCodes.Status503ServiceUnavailable)]
    [InlineData(StatusCodes.Status502BadGateway)]
    public async Task A_conversation_is_read_as_soon_as_the_API_is_back(int status)
    {
        var server = new EndingServer(endsAfter: 2) { Refusals = new([status, null, status, status, null, null, null, status]) };
        await using var app = await server.StartAsync();
        await using var clients = StandInApi.ClientOf(app);
        var clock = new HurriedClock();
        using var session = Session(clients, clock);
        var told = false;
        session.Changed += () => told |= session is { IsLoading: true, Loading: { IsWaiting: true, Problem: not null } };
        await session.OpenAsync(server.Id);

        Assert.True(told);
        Assert.Null(session.Problem ?? session.Loading.Problem);
        Assert.Equal(["How long?", "Six weeks."], session.State.Branch().Select(message => message.Text));
    }

    [Fact]
    public async Task A_conversation_that_is_refused_is_not_asked_for_again()
    {
        var server = new EndingServer(endsAfter: 0) { Refusals = new([StatusCodes.Status404NotFound]) };
        await using var app = await server.StartAsync();
        await using var clients = StandInApi.ClientOf(app);
        using var session = Session(clients);
        await session.OpenAsync(server.Id);

        Assert.Equal((StatusCodes.Status404NotFound, null, false), (session.Problem?.Status, session.Loading.Problem, session.IsLoading));
    }

    private static ConversationSession Session(ServiceProvider clients, TimeProvider? time = null)
    {
        var scope = clients.CreateScope().ServiceProvider;
        return new ConversationSession(scope.GetRequiredService<ApiClient>(), scope.GetRequiredService<RunStream>(), time ?? TimeProvider.System);
    }

    /// <summary>One question whose answer ends after that many requests were answered; as the API, it has the answer in the history only then.</summary>
    private sealed class EndingServer(int endsAfter)
    {
        private readonly HistoryMessage _question = Message(MessageId.New(), null, ChatRole.User, "How long?");
        private readonly MessageId _answer = MessageId.New();
        private readonly RunId _run = RunId.New();
        private int _served;

        public ConversationId Id { get; } = ConversationId.New();

        /// <summary>How it answers its first requests; null: as it should.</summary>
        public Queue<int?> Refusals { get; init; } = new();

        public async Task<WebApplication> StartAsync()
        {
            var app = StandInApi.Create();
            app.Use(async (context, next) =>
            {
                if (Refusals.TryDequeue(out var refusal) && refusal is { } status)
                    context.Response.StatusCode = status;
                else
                    await next(context);
            });
            app.MapGet("/api/chat/{id}", context => WriteAsync(context, Conversation(HasEnded())));
            app.MapGet("/api/chat/{id}/history", context => WriteAsync(context, new Page<HistoryMessage>(History(HasEnded()))));
            app.MapGet("/api/runs/{id}/events", EventsAsync);
            await app.StartAsync(Ct);
            return app;
        }

        private bool HasEnded() => Interlocked.Increment(ref _served) > endsAfter;

        private ConversationSummary Conversation(bool hasEnded) => new() { Id = Id, Title = "Bees", Agent = "default", CreatedAt = DateTimeOffset.UnixEpoch, UpdatedAt = DateTimeOffset.UnixEpoch, ActiveRunId = hasEnded ? null : _run };

        private HistoryMessage[] History(bool hasEnded) => hasEnded ? [_question, Message(_answer, _question.Id, ChatRole.Assistant, "Six weeks.")] : [_question];

        private static HistoryMessage Message(MessageId id, MessageId? parent, ChatRole role, string text) => new()
        {
            Id = id,
            ParentId = parent,
            Role = role,
            Content = text,
            Status = RunStatus.Completed,
            Citations = [],
            ToolCalls = [],
            CreatedAt = DateTimeOffset.UnixEpoch,
        };

        /// <summary>The whole of it, to its end: whoever follows a run hears that it ends.</summary>
        private async Task EventsAsync(HttpContext context)
        {
            Interlocked.Exchange(ref _served, int.MaxValue / 2);
            context.Response.ContentType = "text/event-stream";
            await WriteAsync(context, "run.started", new RunStarted { RunId = _run, Seq = 1, ConversationId = Id, MessageId = _answer, Agent = "default", Model = "test" });
            await WriteAsync(context, "message.delta", new MessageDelta { RunId = _run, Seq = 2, Text = "Six weeks." });
            await WriteAsync(context, "run.completed", new RunCompleted { RunId = _run, Seq = 3, MessageId = _answer, Text = "Six weeks." });
        }

        private static Task WriteAsync(HttpContext context, string name, RunEvent evt) => context.Response.WriteAsync(
            $"id: {evt.RunId}.{evt.Seq}\nevent: {name}\ndata: {JsonSerializer.Serialize(evt, ContractJson.Options)}\n\n", context.RequestAborted);

        private static Task WriteAsync<T>(HttpContext context, T body) => context.Response.WriteAsJsonAsync(body, ContractJson.Options, context.RequestAborted);
    }
}
