using System.Diagnostics;
using AgentFlow.ApiService.Models;
using AgentFlow.Tests.Support;
using static AgentFlow.Tests.ApiService.Models.ProviderFixture;

namespace AgentFlow.Tests.ApiService.Models;

public sealed class FailoverTests : IAsyncLifetime
{
    private ScriptedProvider _first = null!;
    private ScriptedProvider _second = null!;

    private static CancellationToken Limit => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _first = await ScriptedProvider.StartAsync();
        _second = await ScriptedProvider.StartAsync();
        _second.Respond = _ => Script.Say("second");
    }

    public async ValueTask DisposeAsync()
    {
        await _first.DisposeAsync();
        await _second.DisposeAsync();
    }

    [Theory]
    [InlineData(500)]
    [InlineData(503)]
    public async Task A_failing_provider_is_tried_again_and_then_left_for_the_next(int status)
    {
        _first.Respond = _ => Script.Fail(status);

        Assert.Equal("second", Text(await ReadAsync(Both(), Limit)));
        Assert.Equal((2, 1), (_first.RequestCount, _second.RequestCount));
    }

    [Fact]
    public async Task A_refused_key_goes_to_the_next_provider_at_once()
    {
        _first.Respond = _ => Script.Fail(401, "invalid_api_key");

        Assert.Equal("second", Text(await ReadAsync(Both(), Limit)));
        Assert.Equal((1, 1), (_first.RequestCount, _second.RequestCount));
    }

    [Fact]
    public async Task A_bad_request_goes_nowhere_else()
    {
        _first.Respond = _ => Script.Fail(400, "invalid_request_error");

        Assert.Equal(ModelFault.BadRequest, (await Assert.ThrowsAsync<ModelException>(() => ReadAsync(Both(), Limit))).Fault);
        Assert.Equal((1, 0), (_first.RequestCount, _second.RequestCount));
    }

    [Fact]
    public async Task The_next_try_waits_for_Retry_After()
    {
        _first.Enqueue(Script.Fail(429, "rate_limit_exceeded", TimeSpan.FromSeconds(1)), Script.Say("late"));
        var startedAt = Stopwatch.GetTimestamp();

        Assert.Equal("late", Text(await ReadAsync(Failover(Route(Options(_first))), Limit)));
        Assert.True(Stopwatch.GetElapsedTime(startedAt) >= TimeSpan.FromSeconds(0.99));
        Assert.Equal(2, _first.RequestCount);
    }

    [Fact]
    public async Task A_long_Retry_After_is_a_refusal_that_tells_when_to_come_back()
    {
        _first.Respond = _ => Script.Fail(429, "rate_limit_exceeded", TimeSpan.FromSeconds(90));

        var e = await Assert.ThrowsAsync<ModelException>(() => ReadAsync(Failover(Route(Options(_first))), Limit));

        Assert.Equal((ModelFault.RateLimited, TimeSpan.FromSeconds(90), 1), (e.Fault, e.RetryAfter!.Value, _first.RequestCount));
    }

    [Fact]
    public async Task Nothing_is_sent_again_after_the_first_token()
    {
        var script = Script.Say("Hel", "lo");
        _first.Respond = _ => script with { CutAtByte = Sse.Text("Hel").Content.Length };
        var seen = "";

        var e = await Assert.ThrowsAsync<ModelException>(async () =>
        {
            await foreach (var update in Both().GetStreamingResponseAsync(Prompt, null, Limit))
                seen += update.Text;
        });

        Assert.Equal((ModelFault.Cut, "Hel", 0), (e.Fault, seen, _second.RequestCount));
    }

    [Fact]
    public async Task Silence_before_the_first_and_between_tokens_ends_at_its_limit()
    {
        var options = Options(_first);
        options.FirstTokenTimeout = TimeSpan.FromMilliseconds(150);
        _first.Enqueue(new Script { Steps = [new ScriptStep.Stall()] }, Script.SayThenStall("Hel"));

        Assert.Equal("second", Text(await ReadAsync(Failover(Route(options), Route(Options(_second))), Limit)));
        (options.FirstTokenTimeout, options.InterTokenTimeout) = (TimeSpan.FromMinutes(1), TimeSpan.FromMilliseconds(150));
        var e = await Assert.ThrowsAsync<ModelException>(() => ReadAsync(Failover(Route(options)), Limit));

        Assert.Equal(ModelFault.Timeout, e.Fault);
        Assert.Contains("the next token", e.Message, StringComparison.Ordinal);
        await _first.WaitForAbortAsync(Limit);
        await _first.WaitForAbortAsync(Limit);
    }

    [Fact]
    public async Task An_endless_trickle_ends_at_the_total_limit()
    {
        var options = Options(_first);
        options.TotalTimeout = TimeSpan.FromMilliseconds(200);
        _first.Respond = _ => Script.Say(TimeSpan.Zero, TimeSpan.FromMilliseconds(20), [.. Enumerable.Repeat("x", 500)]);

        var e = await Assert.ThrowsAsync<ModelException>(() => ReadAsync(Failover(Route(options)), Limit));

        Assert.Contains("the whole answer", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_provider_that_keeps_failing_is_left_alone()
    {
        _first.Respond = _ => Script.Fail(500);
        var route = Route(Options(_first));
        var both = Failover(route, Route(Options(_second)));

        for (var i = 0; i < 10; i++)
            Assert.Equal("second", Text(await ReadAsync(both, Limit)));

        Assert.InRange(_first.RequestCount, 5, 6);
        Assert.NotNull(route.Breaker.OpenTime);
    }

    [Fact]
    public async Task After_a_while_one_request_tries_a_provider_that_failed_and_its_outcome_decides()
    {
        var clock = new ManualClock();
        var breaker = new CircuitBreaker(clock);
        for (var i = 0; i < 5; i++)
        {
            Assert.True(breaker.TryEnter());
            breaker.Failed();
        }

        Assert.False(breaker.TryEnter());
        Assert.Equal(TimeSpan.FromSeconds(15), breaker.OpenTime);
        clock.Advance(TimeSpan.FromSeconds(15));
        Assert.Equal([true, false, false], [breaker.TryEnter(), breaker.TryEnter(), breaker.TryEnter()]);
        breaker.Failed();
        Assert.False(breaker.TryEnter());
        clock.Advance(TimeSpan.FromSeconds(15));
        Assert.True(breaker.TryEnter());
        breaker.Left();
        Assert.True(breaker.TryEnter());
        breaker.Succeeded();
        Assert.Equal([true, true], [breaker.TryEnter(), breaker.TryEnter()]);

        // The same through the client: back to the first as soon as it answers.
        var route = Route(Options(_first), clock);
        var both = Failover(route, Route(Options(_second)));
        _first.Respond = _ => Script.Fail(401, "invalid_api_key");
        for (var i = 0; i < 6; i++)
            Assert.Equal("second", Text(await ReadAsync(both, Limit)));
        Assert.Equal(5, _first.RequestCount);
        _first.Respond = _ => Script.Say("first");
        clock.Advance(TimeSpan.FromSeconds(15));
        Assert.Equal("first", Text(await ReadAsync(both, Limit)));
        Assert.Null(route.Breaker.OpenTime);
    }

    [Fact]
    public async Task A_cancelled_request_reaches_the_provider()
    {
        _first.Enqueue(Script.SayThenStall("Hel"));
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Limit);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in Both().GetStreamingResponseAsync(Prompt, null, cancel.Token))
            {
                if (update.Text.Length > 0)
                    await cancel.CancelAsync();
            }
        });

        await _first.WaitForAbortAsync(Limit);
        Assert.Equal(0, _second.RequestCount);
    }

    [Fact]
    public async Task Usage_is_estimated_where_the_provider_gives_none_and_priced()
    {
        var options = Options(_first);
        (options.InputPrice, options.OutputPrice) = (1_000_000m, 2_000_000m);
        _first.Enqueue(new Script { Steps = [Sse.Text("four word answer here"), Sse.Finish("stop"), Sse.Done] });

        var usage = (await ReadAsync(Failover(Route(options)), Limit)).SelectMany(u => u.Contents).OfType<Microsoft.Extensions.AI.UsageContent>().Single();

        Assert.Equal((6L, 6L), (usage.Details.InputTokenCount, usage.Details.OutputTokenCount));
        Assert.Equal(18m, usage.AdditionalProperties![Measured.CostKey]);
    }

    private Failover Both() => ProviderFixture.Failover(Route(Options(_first)), Route(Options(_second, "two")));
}
