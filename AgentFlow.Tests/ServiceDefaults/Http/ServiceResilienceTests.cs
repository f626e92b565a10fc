using System.Net;
using AgentFlow.ServiceDefaults.Http;

namespace AgentFlow.Tests.ServiceDefaults.Http;

/// <summary>What is asked of another service of ours, with or without an await, and fails in passing.</summary>
public sealed class ServiceResilienceTests
{
    private static readonly Uri Service = new("http://service.test/");

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_read_is_tried_once_more_after_a_broken_or_a_late_connection(bool waits)
    {
        foreach (var failure in new Exception[] { new HttpRequestException("reset"), new TaskCanceledException("late", new TimeoutException()) })
        {
            using var handler = new FailingOnce(failure);
            using var response = await AskAsync(handler, HttpMethod.Get, waits);
            Assert.Equal((HttpStatusCode.OK, 2), (response.StatusCode, handler.Tries));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_write_is_tried_once_and_fails_as_out_of_reach(bool waits)
    {
        using var handler = new FailingOnce(new TaskCanceledException("late", new TimeoutException()));
        await Assert.ThrowsAsync<HttpRequestException>(() => AskAsync(handler, HttpMethod.Post, waits));
        Assert.Equal(1, handler.Tries);
    }

    private static async Task<HttpResponseMessage> AskAsync(FailingOnce last, HttpMethod method, bool waits)
    {
        using var resilience = new ServiceResilience("service", TimeSpan.FromMinutes(1), TimeProvider.System) { InnerHandler = last };
        using var invoker = new HttpMessageInvoker(resilience, disposeHandler: false);
        using var request = new HttpRequestMessage(method, Service);
        return waits ? await invoker.SendAsync(request, Ct) : invoker.Send(request, Ct);
    }

    private sealed class FailingOnce(Exception failure) : HttpMessageHandler
    {
        public int Tries { get; private set; }

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(Send(request, cancellationToken));

        protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken) =>
            ++Tries == 1 ? throw failure : new HttpResponseMessage(HttpStatusCode.OK);
    }
}
