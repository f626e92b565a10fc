using System.Text;
using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Models.OpenAICompatible;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.AI;
using static AgentFlow.Tests.ApiService.Models.ProviderFixture;

namespace AgentFlow.Tests.ApiService.Models;

public sealed class OpenAIChatClientTests : IAsyncLifetime
{
    private ScriptedProvider _provider = null!;

    private static CancellationToken Limit => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _provider = await ScriptedProvider.StartAsync();

    public ValueTask DisposeAsync() => _provider.DisposeAsync();

    [Fact]
    public async Task A_stream_becomes_its_words_and_the_providers_usage()
    {
        _provider.Enqueue(Script.Say("Hello", ", ", "wörld"));

        var updates = await ReadAsync(Client(), Limit);

        Assert.Equal("Hello, wörld", Text(updates));
        var usage = Assert.Single(updates.SelectMany(u => u.Contents).OfType<UsageContent>());
        Assert.Equal((12L, 3L), (usage.Details.InputTokenCount, usage.Details.OutputTokenCount));
        Assert.Equal(ChatFinishReason.Stop, updates[^1].FinishReason);
    }

    [Fact]
    public async Task The_request_is_what_the_format_asks_for()
    {
        using var client = Client();
        var call = new FunctionCallContent("c1", "add", new Dictionary<string, object?> { ["a"] = 1 });
        var tool = AIFunctionFactory.Create((int a) => a, "add", "Adds one.");

        await client.GetStreamingResponseAsync(
            [new(ChatRole.User, "Hi"), new(ChatRole.Assistant, [call]), new(ChatRole.Tool, [new FunctionResultContent("c1", "2")])],
            new ChatOptions { Instructions = "Be brief.", Tools = [tool], MaxOutputTokens = 100 },
            Limit).LastAsync(Limit);

        var request = Assert.Single(_provider.Requests);
        var body = request.Body;
        Assert.Equal("Bearer test-key", request.Headers["Authorization"]);
        Assert.Equal(["model", "stream", "stream_options", "max_tokens", "messages", "tools", "tool_choice"], body.EnumerateObject().Select(p => p.Name));
        Assert.Equal(
            """[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"c1","content":"2"}]""",
            body.GetProperty("messages").GetRawText());
        Assert.Equal("add", body.GetProperty("tools")[0].GetProperty("function").GetProperty("name").GetString());
    }

    [Fact]
    public async Task Tool_calls_are_put_together_from_their_fragments()
    {
        _provider.Enqueue(Script.CallTools(("search", """{"query":"a long enough question","topK":3}"""), ("now", "{}")));

        var calls = (await ReadAsync(Client(), Limit)).SelectMany(u => u.Contents).OfType<FunctionCallContent>().ToList();

        Assert.Equal(["search", "now"], calls.Select(c => c.Name));
        Assert.Equal("a long enough question", calls[0].Arguments!["query"]!.ToString());
        Assert.All(calls, c => Assert.Null(c.Exception));
    }

    [Fact]
    public async Task Broken_tool_arguments_are_marked_at_every_length()
    {
        const string arguments = """{"query":"x","n":[1,2]}""";
        for (var length = 1; length < arguments.Length; length++)
        {
            _provider.Enqueue(Script.CallTools(("search", arguments[..length])));
            var call = Assert.Single((await ReadAsync(Client(), Limit)).SelectMany(u => u.Contents).OfType<FunctionCallContent>());
            Assert.NotNull(call.Exception);
            Assert.Null(call.Arguments);
        }
    }

    [Fact]
    public async Task A_stream_cut_at_any_byte_is_never_complete()
    {
        var script = Script.Say("He", "llo", " wörld");
        var body = script.Body();
        var doneAt = Encoding.UTF8.GetString(body).IndexOf("[DONE]", StringComparison.Ordinal) is var chars
            ? Encoding.UTF8.GetByteCount(Encoding.UTF8.GetString(body)[..chars]) + "[DONE]".Length
            : 0;
        var completed = new List<int>();
        for (var cut = 0; cut < body.Length; cut++)
        {
            _provider.Enqueue(script with { CutAtByte = cut });
            try
            {
                Assert.Equal("Hello wörld", Text(await ReadAsync(Client(), Limit)));
                completed.Add(cut);
            }
            catch (ModelException e)
            {
                Assert.Contains(e.Fault, new[] { ModelFault.Cut, ModelFault.Malformed });
            }
        }

        // Only the two line feeds behind [DONE] may be missing.
        Assert.All(completed, cut => Assert.True(cut > doneAt, $"completed at byte {cut} of {body.Length}"));
    }

    [Fact]
    public async Task A_character_may_be_cut_between_two_chunks()
    {
        static string Chunk(string content) => $$$"""data: {"choices":[{"index":0,"delta":{"content":"{{{content}}}"}}]}""" + "\n\n";
        const string end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        _provider.Enqueue(Script.Raw(Chunk("""\"a\n \ud83d""") + Chunk("""\ude00\\n b\u00e9 \ud83d\ude00""") + end));

        Assert.Equal("\"a\n \U0001F600\\n bé \U0001F600", Text(await ReadAsync(Client(), Limit)));
    }

    [Fact]
    public async Task Tool_arguments_with_half_a_character_are_marked()
    {
        _provider.Enqueue(Script.CallTools(("search", """{"a\ud83d":1}""")));
        Assert.NotNull(Assert.Single((await ReadAsync(Client(), Limit)).SelectMany(u => u.Contents).OfType<FunctionCallContent>()).Exception);
    }

    [Theory]
    [InlineData("data: {not json}\n\n")]
    [InlineData("data: []\n\n")]
    [InlineData("data: {\"choices\":{}}\n\n")]
    [InlineData("data: {\"object\":\"chat.completion.chunk\"}\n\n")]
    [InlineData("data: [DONE]\n\n")]
    [InlineData("data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":\"x\"}]}}]}\n\n")]
    [InlineData("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n")]
    [InlineData("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: [DONE]\n\n")]
    [InlineData(": only comments\n\n")]
    [InlineData("")]
    public async Task A_malformed_stream_is_never_complete(string body)
    {
        _provider.Enqueue(Script.Raw(body));

        var e = await Assert.ThrowsAsync<ModelException>(() => ReadAsync(Client(), Limit));

        Assert.Contains(e.Fault, new[] { ModelFault.Cut, ModelFault.Malformed });
    }

    [Fact]
    public async Task An_error_inside_the_stream_is_the_providers_failure()
    {
        _provider.Enqueue(Script.Raw("data: {\"error\":{\"message\":\"secret words\",\"type\":\"server_error\",\"code\":null}}\n\n"));

        var e = await Assert.ThrowsAsync<ModelException>(() => ReadAsync(Client(), Limit));

        Assert.Equal(ModelFault.Unavailable, e.Fault);
        Assert.Equal("one sent an error inside its stream (server_error).", e.Message);
    }

    [Fact]
    public async Task An_endless_line_is_cut_off()
    {
        var chunk = Encoding.UTF8.GetBytes(new string('x', 256 * 1024));
        _provider.Enqueue(new Script { Steps = [new ScriptStep.Bytes("data: "u8.ToArray()), .. Enumerable.Repeat(new ScriptStep.Bytes(chunk), 40)] });

        var e = await Assert.ThrowsAsync<ModelException>(() => ReadAsync(Client(), Limit));

        Assert.Equal(ModelFault.Malformed, e.Fault);
    }

    [Fact]
    public async Task An_answer_that_is_no_stream_is_malformed()
    {
        _provider.Enqueue(Script.Say("x") with { ContentType = "text/html" });

        Assert.Equal(ModelFault.Malformed, (await Assert.ThrowsAsync<ModelException>(() => ReadAsync(Client(), Limit))).Fault);
    }

    [Theory]
    [InlineData(400, "invalid_request_error", ModelFault.BadRequest)]
    [InlineData(400, "context_length_exceeded", ModelFault.ContextTooLong)]
    [InlineData(401, "invalid_api_key", ModelFault.Refused)]
    [InlineData(404, "model_not_found", ModelFault.Refused)]
    [InlineData(429, "rate_limit_exceeded", ModelFault.RateLimited)]
    [InlineData(429, "insufficient_quota", ModelFault.Refused)]
    [InlineData(500, "server_error", ModelFault.Unavailable)]
    [InlineData(529, "overloaded", ModelFault.Unavailable)]
    public async Task A_refusal_is_told_apart_by_status_and_code(int status, string code, object fault)
    {
        _provider.Enqueue(Script.Fail(status, code, TimeSpan.FromSeconds(7)));

        var e = await Assert.ThrowsAsync<ModelException>(() => ReadAsync(Client(), Limit));

        Assert.Equal((ModelFault)fault, e.Fault);
        Assert.Equal(TimeSpan.FromSeconds(7), e.RetryAfter);
        Assert.Equal($"one answered {status} ({code}).", e.Message);
    }

    [Fact]
    public async Task What_a_model_does_not_take_is_left_out_or_called_otherwise_from_then_on()
    {
        static Script Refuse(string parameter, string code) => new()
        {
            Status = 400, ContentType = "application/json",
            Json = $$$"""{"error":{"message":"'{{{parameter}}}' is not supported with this model.","type":"invalid_request_error","param":"{{{parameter}}}","code":"{{{code}}}"}}""",
        };
        _provider.Enqueue(Refuse("max_tokens", "unsupported_parameter"), Refuse("temperature", "unsupported_value"), Script.Say("Hello"), Script.Say("again"));
        using var client = Client();
        var options = new ChatOptions { MaxOutputTokens = 100, Temperature = 0.5f };

        var first = await client.GetResponseAsync(Prompt, options, Limit);
        var second = await client.GetResponseAsync(Prompt, options, Limit);

        Assert.Equal(("Hello", "again"), (first.Text, second.Text));
        Assert.Equal(
            ["max_tokens temperature", "max_completion_tokens temperature", "max_completion_tokens", "max_completion_tokens"],
            _provider.Requests.Select(request => string.Join(' ', request.Body.EnumerateObject().Select(member => member.Name).Where(name => name is "temperature" || name.StartsWith("max", StringComparison.Ordinal)).Order(StringComparer.Ordinal))));

        // Refused in both its forms, it is the request's fault.
        _provider.Enqueue(Refuse("max_completion_tokens", "unsupported_parameter"));
        Assert.Equal(ModelFault.BadRequest, (await Assert.ThrowsAsync<ModelException>(() => client.GetResponseAsync(Prompt, options, Limit))).Fault);
    }

    [Theory]
    [InlineData("reasoning_content")]
    [InlineData("reasoning")]
    public async Task What_a_model_thinks_aloud_keeps_the_connection_and_is_not_shown(string member)
    {
        var thought = new ScriptStep.Bytes(Encoding.UTF8.GetBytes($$$"""data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":null,"{{{member}}}":"Hmm"},"finish_reason":null}]}""" + "\n\n"));
        _provider.Enqueue(new Script { Steps = [thought, .. Script.Say("Hi").Steps] });
        var (options, clock) = (Options(_provider), new ManualClock());
        using var client = new TimeLimits(new OpenAIChatClient(Http, options, TimeProvider.System), options, clock);

        var said = "";
        var thoughts = 0;
        await foreach (var update in client.GetStreamingResponseAsync(Prompt, null, Limit))
        {
            if (update.Contents.OfType<TextReasoningContent>().Any() && thoughts++ == 0)
                clock.Advance(options.FirstTokenTimeout * 2);
            said += update.Text;
        }

        Assert.Equal(("Hi", 1), (said, thoughts));
    }

    [Fact]
    public async Task Leaving_the_stream_closes_the_providers_connection()
    {
        _provider.Enqueue(Script.SayThenStall("Hello"));

        await foreach (var update in Client().GetStreamingResponseAsync(Prompt, null, Limit))
        {
            if (update.Text.Length > 0)
                break;
        }

        await _provider.WaitForAbortAsync(Limit);
        Assert.Equal(0, _provider.OpenCount);
    }

    private OpenAIChatClient Client() => new(Http, Options(_provider), TimeProvider.System);
}
