using System.Globalization;
using AgentFlow.Tests.Support;
using AgentFlow.Tests.Web.Api;
using AgentFlow.Web.Api;
using AgentFlow.Web.State;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.Web.State;

/// <summary>What a page does when the API is away, against a server that is.</summary>
public sealed class PageWorkTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_load_that_waiting_cures_is_repeated_until_the_page_is_whole()
    {
        // Away, stopping, broken off in the middle of an answer, and asked too much.
        var answers = new Queue<Func<HttpContext, Task>>([Abort, Refuse(503, 2), Truncate, Refuse(502), Refuse(504), Refuse(429, 600), Refuse(503), Refuse(503), Greet]);
        var asked = 0;
        await using var server = await StartAsync(context =>
        {
            asked++;
            return answers.Dequeue()(context);
        });
        await using var clients = StandInApi.ClientOf(server);
        var (work, clock, api) = (new PageWork(), new HurriedClock(), ApiOf(clients));
        var problems = new List<string?>();
        string? shown = null;
        async Task Load()
        {
            await work.LoadAsync(async () => shown = await api.GetAsync<string>("api/greeting", Ct));
            problems.Add(work.Problem?.Code);
        }

        await Load();
        Assert.True(work.IsWaiting);
        await work.HealAsync(Load, clock, Ct);

        Assert.Equal(("hello", 9), (shown, asked));
        Assert.False(work.IsWaiting);
        Assert.Equal(["unreachable", "http_503", "unreachable", "http_502", "http_504", "http_429", "http_503", "http_503", null], problems);
        Assert.Equal([0.5, 2, 2, 4, 8, 60, 10, 10], clock.Waits.Select(wait => wait.TotalSeconds));
    }

    [Theory]
    [InlineData(404)]
    [InlineData(401)]
    [InlineData(409)]
    [InlineData(500)]
    public async Task A_load_that_waiting_does_not_cure_is_not_repeated(int status)
    {
        await using var server = await StartAsync(context => Refuse(status)(context));
        await using var clients = StandInApi.ClientOf(server);
        var (work, api) = (new PageWork(), ApiOf(clients));

        Assert.False(await work.LoadAsync(() => api.GetAsync<string>("api/greeting", Ct)));

        Assert.False(work.IsWaiting);
        Assert.Equal(status, work.Problem?.Status);
        await work.HealAsync(() => throw new InvalidOperationException("Nothing is to be repeated."), new HurriedClock(), Ct);
    }

    [Fact]
    public async Task What_a_person_asked_for_is_tried_once_and_its_refusal_stays()
    {
        var answers = new Queue<Func<HttpContext, Task>>([Refuse(503), Refuse(503), Greet, Greet]);
        await using var server = await StartAsync(context => answers.Dequeue()(context));
        await using var clients = StandInApi.ClientOf(server);
        var (work, api) = (new PageWork(), ApiOf(clients));
        Task Load() => work.LoadAsync(() => api.GetAsync<string>("api/greeting", Ct));

        await Load();
        Assert.False(await work.RunAsync(() => api.SendAsync(HttpMethod.Post, "api/greeting", null, Ct)));
        Assert.True(work.IsWaiting);
        await work.HealAsync(Load, new HurriedClock(), Ct);

        Assert.Equal(503, work.Problem?.Status);
        Assert.False(work.IsWaiting);
        Assert.True(await work.RunAsync(() => api.SendAsync(HttpMethod.Post, "api/greeting", null, Ct)));
        Assert.Null(work.Problem);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_load_that_was_overtaken_does_not_end_the_waiting_of_the_newer_one(bool isRefused)
    {
        var (work, loads, slow) = (new PageWork(), new Newest(), new TaskCompletionSource());
        var shown = "";
        var older = work.LoadAsync(loads, async isNewest =>
        {
            await slow.Task;
            shown = isNewest() ? "older" : shown;
        });
        await work.LoadAsync(loads, _ => throw new ApiException(ApiProblem.Unreachable));

        if (isRefused)
            slow.SetException(new ApiException(new ApiProblem(404, "not_found", "Gone.", null)));
        else
            slow.SetResult();
        await older;

        Assert.True(work.IsWaiting);
        Assert.Equal(ApiProblem.Unreachable, work.Problem);
        await work.HealAsync(() => work.LoadAsync(loads, _ => Task.FromResult(shown += "newer")), new HurriedClock(), Ct);
        Assert.Equal("newer", shown);
        Assert.Null(work.Problem);
    }

    [Fact]
    public async Task Nothing_is_repeated_on_a_page_that_was_left()
    {
        var work = new PageWork();
        await work.LoadAsync(() => throw new ApiException(ApiProblem.Unreachable));
        var stay = new Stay();
        stay.Dispose();

        Assert.True(stay.IsOver);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => work.HealAsync(() => Task.CompletedTask, TimeProvider.System, stay.Leaving));
    }

    private static async Task<WebApplication> StartAsync(RequestDelegate answer)
    {
        var app = StandInApi.Create();
        app.Run(answer);
        await app.StartAsync(Ct);
        return app;
    }

    private static ApiClient ApiOf(ServiceProvider clients) => clients.CreateScope().ServiceProvider.GetRequiredService<ApiClient>();

    private static Task Abort(HttpContext context)
    {
        context.Abort();
        return Task.CompletedTask;
    }

    private static async Task Truncate(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = 100;
        await context.Response.WriteAsync("\"hel", Ct);
        await context.Response.Body.FlushAsync(Ct);
        context.Abort();
    }

    private static Task Greet(HttpContext context) => context.Response.WriteAsJsonAsync("hello", Ct);

    private static Func<HttpContext, Task> Refuse(int status, int? retryAfter = null) => context =>
    {
        context.Response.StatusCode = status;
        if (retryAfter is { } seconds)
            context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        return Task.CompletedTask;
    };
}
