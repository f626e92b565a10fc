using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Models;

/// <summary>One provider, ready to be asked.</summary>
internal sealed record ProviderRoute(ProviderOptions Options, IChatClient Client, CircuitBreaker Breaker);

/// <summary>
/// Asks providers in order until one has sent its first token; from then on the answer is that provider's, and a failure is the
/// caller's to handle. Before the first token the same provider is asked again where that can help (never before its
/// <c>Retry-After</c>), then the next. Thread-safe.
/// </summary>
internal sealed partial class Failover(IReadOnlyList<ProviderRoute> routes, TimeProvider time, ILogger<Failover> log) : IChatClient
{
    private static readonly TimeSpan FirstBackoff = TimeSpan.FromMilliseconds(200);

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    /// <exception cref="ModelException">No provider gave a first token (the last one's failure), or the answering one broke off.</exception>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var prompt = messages as IReadOnlyList<ChatMessage> ?? [.. messages];
        var (route, updates) = await OpenAsync(prompt, options, cancellationToken);
        var reported = false;
        try
        {
            var hasNext = true;
            while (hasNext)
            {
                yield return updates.Current;
                try
                {
                    hasNext = await updates.MoveNextAsync();
                }
                catch (ModelException)
                {
                    route.Breaker.Failed();
                    throw;
                }
            }

            route.Breaker.Succeeded();
            reported = true;
        }
        finally
        {
            if (!reported)
                route.Breaker.Left();
            await updates.DisposeAsync();
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    public void Dispose()
    {
    }

    private async Task<(ProviderRoute Route, IAsyncEnumerator<ChatResponseUpdate> Updates)> OpenAsync(
        IReadOnlyList<ChatMessage> prompt, ChatOptions? options, CancellationToken ct)
    {
        ModelException? failure = null;
        foreach (var route in routes)
        {
            for (var attempt = 1; attempt <= route.Options.MaxAttempts; attempt++)
            {
                if (!route.Breaker.TryEnter())
                {
                    failure ??= new ModelException(
                        ModelFault.CircuitOpen, route.Options.DisplayName, $"{route.Options.DisplayName} failed repeatedly and is left alone for a while.", route.Breaker.OpenTime);
                    break;
                }

                try
                {
                    return (route, await FirstTokenAsync(route, prompt, options, ct));
                }
                catch (ModelException e)
                {
                    failure = e;
                    LogFailed(log, route.Options.DisplayName, attempt, e.Fault, e.Message);
                    if (!e.CanFailOver)
                        throw;
                    if (!await WaitToRetryAsync(route, e, attempt, ct))
                        break;
                }
            }
        }

        throw failure ?? throw new InvalidOperationException("A pipeline needs a provider.");
    }

    private static async Task<IAsyncEnumerator<ChatResponseUpdate>> FirstTokenAsync(
        ProviderRoute route, IReadOnlyList<ChatMessage> prompt, ChatOptions? options, CancellationToken ct)
    {
        var updates = route.Client.GetStreamingResponseAsync(prompt, options, ct).GetAsyncEnumerator(ct);
        var opened = false;
        try
        {
            while (await updates.MoveNextAsync())
            {
                if (updates.Current.Contents.Count == 0 && updates.Current.FinishReason is null)
                    continue;
                opened = true;
                return updates;
            }

            throw new ModelException(ModelFault.Cut, route.Options.DisplayName, $"{route.Options.DisplayName} sent nothing.");
        }
        catch (ModelException e)
        {
            if (e.CanFailOver && e.Fault != ModelFault.RateLimited)
                route.Breaker.Failed();
            else
                route.Breaker.Left();
            throw;
        }
        catch (OperationCanceledException)
        {
            route.Breaker.Left();
            throw;
        }
        finally
        {
            if (!opened)
                await updates.DisposeAsync();
        }
    }

    private async Task<bool> WaitToRetryAsync(ProviderRoute route, ModelException failure, int attempt, CancellationToken ct)
    {
        if (!failure.CanRetry || attempt == route.Options.MaxAttempts || failure.RetryAfter > route.Options.MaxRetryAfter || !route.Breaker.TryTakeRetry())
            return false;
        var backoff = FirstBackoff * Math.Pow(2, attempt - 1) * (0.5 + Random.Shared.NextDouble());
        await Task.Delay(failure.RetryAfter > backoff ? failure.RetryAfter.Value : backoff, time, ct);
        return true;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Provider {Provider} gave no answer at try {Attempt}: {Fault}, {Reason}")]
    private static partial void LogFailed(ILogger logger, string provider, int attempt, ModelFault fault, string reason);
}
