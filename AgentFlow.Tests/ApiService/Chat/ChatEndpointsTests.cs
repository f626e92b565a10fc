using System.Net;
using System.Net.Http.Json;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.ApiService.Runs;

namespace AgentFlow.Tests.ApiService.Chat;

public sealed class ChatEndpointsTests(EchoHost shared) : IClassFixture<EchoHost>
{
    private readonly RunsHost _host = shared.Renewed;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_message_is_answered_as_a_numbered_stream_of_events()
    {
        using var response = await RunsHost.ChatAsync(_host.Client, new() { Message = "hello there" });

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.ToString());
        Assert.Equal("no", Assert.Single(response.Headers.GetValues("X-Accel-Buffering")));
        Assert.Equal("identity", Assert.Single(response.Content.Headers.ContentEncoding));
        Assert.Equal(TimeSpan.FromSeconds(15), new AgentFlow.ApiService.Runs.RunsOptions().KeepAlive);
        Assert.True(response.Headers.CacheControl!.NoStore);
        var events = await SseEvent.ReadAllAsync(response);
        Assert.Equal(Enumerable.Range(1, events.Count).Select(i => (long)i), events.Select(evt => evt.Seq));
        Assert.Equal("run.started", events[0].Type);
        Assert.Equal("run.completed", events[^1].Type);
        Assert.Equal("You said: hello there", SseEvent.TextOf(events));
        Assert.Equal("You said: hello there", Assert.IsType<RunCompleted>(events[^1].Parsed).Text);
        Assert.Single(events, evt => evt.IsTerminal);
    }

    [Fact]
    public async Task The_history_holds_question_and_answer_and_the_next_message_hangs_below()
    {
        var first = await _host.ChatToEndAsync(new() { Message = "first" });
        var started = Assert.IsType<RunStarted>(first[0].Parsed);
        await _host.ChatToEndAsync(new() { Message = "second", ConversationId = started.ConversationId });

        var history = await HistoryAsync(started.ConversationId);

        Assert.Equal(["first", "You said: first", "second", "You said: second"], history.Select(m => m.Content));
        Assert.Equal([null, history[0].Id, history[1].Id, history[2].Id], history.Select(m => m.ParentId));
        Assert.Equal(started.MessageId, history[1].Id);
        Assert.Equal(new RunUsage(3, 3), history[1].Usage);
    }

    [Fact]
    public async Task One_json_answer_comes_without_a_stream()
    {
        using var response = await RunsHost.ChatAsync(_host.Client, new() { Message = "plain", Stream = false });
        var answer = (await response.Content.ReadFromJsonAsync<QueryAnswer>(ContractJson.Options, Ct))!;

        Assert.Equal("You said: plain", answer.Answer);
        Assert.Equal(new RunUsage(3, 3), answer.Usage);
    }

    [Fact]
    public async Task A_query_is_answered_in_both_modes()
    {
        using var retrieval = await _host.Client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = "why?" }, ContractJson.Options, Ct);
        using var selected = await _host.Client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = "why?", SelectedText = "Because." }, ContractJson.Options, Ct);

        Assert.Equal(QueryMode.Retrieval, (await retrieval.Content.ReadFromJsonAsync<QueryAnswer>(ContractJson.Options, Ct))!.Mode);
        Assert.Equal(QueryMode.SelectedText, (await selected.Content.ReadFromJsonAsync<QueryAnswer>(ContractJson.Options, Ct))!.Mode);
    }

    [Theory]
    [InlineData("{}", 400)]
    [InlineData("""{"message":""}""", 400)]
    [InlineData("""{"message":"  \n"}""", 400)]
    [InlineData("""{"message":"a\u0000b"}""", 400)]
    [InlineData("""{"message":"a","messages":[{"role":"user","content":"a"}]}""", 400)]
    [InlineData("""{"messages":[]}""", 400)]
    [InlineData("""{"messages":[{"role":"assistant","content":"a"}]}""", 400)]
    [InlineData("""{"messages":[{"role":"system","content":"a"}]}""", 400)]
    [InlineData("""{"message":"a","isAdmin":true}""", 400)]
    [InlineData("""{"message":"a","message":"b"}""", 400)]
    [InlineData("""{"message":7}""", 400)]
    [InlineData("""{"message":"a","context":[1]}""", 400)]
    [InlineData("""{"message":"a","conversationId":"7"}""", 400)]
    [InlineData("""{"message":"a","conversationId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d"}""", 404)]
    [InlineData("""{"message":"a","parentMessageId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d"}""", 400)]
    public async Task What_can_not_be_meant_is_refused_and_leaves_nothing(string body, int status)
    {
        using var response = await _host.Client.PostAsync("/api/chat", new StringContent(body, Encoding.UTF8, "application/json"), Ct);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        var listed = await _host.Client.GetFromJsonAsync<Page<ConversationSummary>>("/api/chat", ContractJson.Options, Ct);
        Assert.Empty(listed!.Items);
    }

    [Theory]
    [InlineData(50_000, 200)]
    [InlineData(50_001, 400)]
    public async Task Messages_are_taken_up_to_the_limit(int length, int status)
    {
        using var response = await RunsHost.ChatAsync(_host.Client, new() { Message = new string('x', length), Stream = false });

        Assert.Equal(status, (int)response.StatusCode);
    }

    [Fact]
    public async Task A_body_over_the_limit_is_413()
    {
        using var response = await RunsHost.ChatAsync(_host.Client, new() { Message = new string('x', 1_100_000) });

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
    }

    [Fact]
    public async Task Nobody_is_401()
    {
        using var client = new HttpClient { BaseAddress = _host.Address };
        using var response = await RunsHost.ChatAsync(client, new() { Message = "a" });

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task A_stateless_conversation_is_answered_and_not_kept()
    {
        var events = await _host.ChatToEndAsync(new() { Messages = [new(ChatRole.User, "a"), new(ChatRole.Assistant, "b"), new(ChatRole.User, "c")] });

        Assert.Equal("You said: c", SseEvent.TextOf(events));
        var listed = await _host.Client.GetFromJsonAsync<Page<ConversationSummary>>("/api/chat", ContractJson.Options, Ct);
        Assert.Empty(listed!.Items);
    }

    [Fact]
    public async Task A_repeated_request_attaches_to_the_same_run_and_another_body_is_refused()
    {
        var request = new ChatRequest { Message = "once" };
        using var first = await RunsHost.ChatAsync(_host.Client, request, "key-1");
        using var again = await RunsHost.ChatAsync(_host.Client, request, "key-1");
        using var other = await RunsHost.ChatAsync(_host.Client, request with { Message = "twice" }, "key-1");
        using var bad = await RunsHost.ChatAsync(_host.Client, request, new string('k', 256));

        var (one, two) = (await SseEvent.ReadAllAsync(first), await SseEvent.ReadAllAsync(again));
        Assert.Equal(one, two);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, other.StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, bad.StatusCode);
    }

    [Fact]
    public async Task Sixteen_requests_with_one_key_at_once_make_one_run()
    {
        var request = new ChatRequest { Message = "once", Stream = false };
        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(async _ =>
        {
            using var response = await RunsHost.ChatAsync(_host.Client, request, "key-2");
            response.EnsureSuccessStatusCode();
            return (await response.Content.ReadFromJsonAsync<QueryAnswer>(ContractJson.Options, Ct))!;
        }));

        Assert.Single(answers.Select(answer => answer.RunId).Distinct());
        Assert.Equal(2, (await HistoryAsync(answers[0].ConversationId)).Count);
    }

    private async Task<IReadOnlyList<HistoryMessage>> HistoryAsync(ConversationId id) =>
        (await _host.Client.GetFromJsonAsync<Page<HistoryMessage>>($"/api/chat/{id}/history", ContractJson.Options, Ct))!.Items;
}
