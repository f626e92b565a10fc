using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;

namespace AgentFlow.ServiceDefaults.Http;

/// <summary>
/// Time limit, retry and circuit breaker between our services. Only methods that are safe by definition (GET, HEAD) are tried again: a POST whose
/// answer was lost may have happened. The circuit opens at half of at least 8 calls failed within 10 s, for 5 s.
/// </summary>
public sealed class ServiceResilience : DelegatingHandler
{
    /// <summary>Set on a request whose body is a stream: no time limit for the whole, no retry.</summary>
    public static readonly HttpRequestOptionsKey<bool> Streaming = new("agentflow.streaming");

    private readonly ResiliencePipeline<HttpResponseMessage> safe;
    private readonly ResiliencePipeline<HttpResponseMessage> once;
    private readonly ResiliencePipeline<HttpResponseMessage> streaming;

    public ServiceResilience(string service, TimeSpan timeout, TimeProvider time)
    {
        var breaker = new CircuitBreakerStrategyOptions<HttpResponseMessage>
        {
            Name = service,
            FailureRatio = 0.5,
            MinimumThroughput = 8,
            SamplingDuration = TimeSpan.FromSeconds(10),
            BreakDuration = TimeSpan.FromSeconds(5),
            ShouldHandle = static arguments => ValueTask.FromResult(IsTransient(arguments.Outcome)),
        };
        var retry = new RetryStrategyOptions<HttpResponseMessage>
        {
            MaxRetryAttempts = 1,
            Delay = TimeSpan.FromMilliseconds(100),
            UseJitter = true,
            ShouldHandle = static arguments => ValueTask.FromResult(IsTransient(arguments.Outcome)),
        };
        safe = Builder(time).AddRetry(retry).AddCircuitBreaker(breaker).AddTimeout(timeout).Build();
        once = Builder(time).AddCircuitBreaker(breaker).AddTimeout(timeout).Build();
        streaming = Builder(time).AddCircuitBreaker(breaker).Build();
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        try
        {
            return await PipelineOf(request).ExecuteAsync(async token => await base.SendAsync(request, token), cancellationToken);
        }
        catch (Exception error) when (IsOutOfReach(error))
        {
            throw OutOfReach(error);
        }
    }

    /// <summary>The same for callers that can not wait asynchronously, as data protection can not.</summary>
    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(request);
        try
        {
            return PipelineOf(request).Execute(token => base.Send(request, token), cancellationToken);
        }
        catch (Exception error) when (IsOutOfReach(error))
        {
            throw OutOfReach(error);
        }
    }

    private ResiliencePipeline<HttpResponseMessage> PipelineOf(HttpRequestMessage request)
    {
        request.Options.TryGetValue(Streaming, out var isStream);
        return isStream ? streaming : request.Method == HttpMethod.Get || request.Method == HttpMethod.Head ? safe : once;
    }

    private static bool IsOutOfReach(Exception error) => error is BrokenCircuitException or TimeoutRejectedException || IsConnectTimeout(error);

    /// <summary>One kind of failure for the callers: the service could not be reached in time.</summary>
    private static HttpRequestException OutOfReach(Exception error) => new($"The service did not answer: {error.Message}", error);

    /// <summary>How <see cref="SocketsHttpHandler.ConnectTimeout"/> shows: as a cancellation that nobody asked for.</summary>
    private static bool IsConnectTimeout(Exception? error) => error is OperationCanceledException { InnerException: TimeoutException };

    private static ResiliencePipelineBuilder<HttpResponseMessage> Builder(TimeProvider time) => new() { TimeProvider = time };

    private static bool IsTransient(Outcome<HttpResponseMessage> outcome) =>
        outcome.Exception is HttpRequestException or TimeoutRejectedException || IsConnectTimeout(outcome.Exception) || outcome.Result is { StatusCode: >= System.Net.HttpStatusCode.InternalServerError };
}
