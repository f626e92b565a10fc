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
        request.Options.TryGetValue(Streaming, out var isStream);
        var pipeline = isStream ? streaming : request.Method == HttpMethod.Get || request.Method == HttpMethod.Head ? safe : once;
        try
        {
            return await pipeline.ExecuteAsync(async token => await base.SendAsync(request, token), cancellationToken);
        }
        catch (Exception error) when (error is BrokenCircuitException or TimeoutRejectedException)
        {
            // One kind of failure for the callers: the service could not be reached in time.
            throw new HttpRequestException($"The service did not answer: {error.Message}", error);
        }
    }

    private static ResiliencePipelineBuilder<HttpResponseMessage> Builder(TimeProvider time) => new() { TimeProvider = time };

    private static bool IsTransient(Outcome<HttpResponseMessage> outcome) =>
        outcome.Exception is HttpRequestException or TimeoutRejectedException || outcome.Result is { StatusCode: >= System.Net.HttpStatusCode.InternalServerError };
}
