using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.Tests.Support;
using AgentFlow.Tests.Web.Api;
using AgentFlow.Web.Api;
using AgentFlow.Web.State;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.Web.State;

public sealed class SessionWatchTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_page_that_lies_open_hears_that_its_session_is_over_and_nothing_else_ends_it()
    {
        var answers = new Queue<int>([0, 200, 503, 404, 429, 200, 401]);
        await using var server = StandInApi.Create();
        server.Run(context => Answer(context, answers.Dequeue()));
        await server.StartAsync(Ct);
        await using var clients = StandInApi.ClientOf(server);
        var clock = new HurriedClock();

        await SessionWatch.UntilOverAsync(clients.CreateScope().ServiceProvider.GetRequiredService<ApiClient>(), clock, Ct);

        Assert.Empty(answers);
        Assert.Equal(Enumerable.Repeat(SessionWatch.Interval, 7), clock.Waits);
    }

    [Fact]
    public async Task A_page_that_was_left_asks_no_more()
    {
        await using var server = StandInApi.Create();
        await server.StartAsync(Ct);
        await using var clients = StandInApi.ClientOf(server);
        var stay = new Stay();
        var watch = SessionWatch.UntilOverAsync(clients.CreateScope().ServiceProvider.GetRequiredService<ApiClient>(), TimeProvider.System, stay.Leaving);

        stay.Dispose();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watch);
    }

    private static Task Answer(HttpContext context, int status)
    {
        if (status == 0)
            context.Abort();
        else if (status == 200)
            return context.Response.WriteAsJsonAsync(new UserProfile { Id = OwnerId.New(), Email = "ada@example.org", DisplayName = "Ada", Role = UserRole.User, CreatedAt = DateTimeOffset.UnixEpoch }, ContractJson.Options, Ct);
        else
            context.Response.StatusCode = status;
        return Task.CompletedTask;
    }
}
