using System.Collections.Concurrent;
using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Models.Extractive;
using AgentFlow.ApiService.Models.OpenAICompatible;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Models;

/// <summary>
/// The one place where chat clients are put together. Outermost first:
/// <code>
/// Failover         chooses the provider, retries before the first token, keeps circuits
///   Measured       span, metrics, usage and cost           (one of each per provider)
///     TimeLimits   first token, next token, whole answer
///       OpenAIChatClient
/// </code>
/// The built-in model needs only Measured. Thread-safe; clients live as long as the service.
/// </summary>
internal sealed class ChatPipeline(
    ModelCatalog catalog, IOptions<ModelOptions> options, IOptions<ContentTelemetryOptions> content, IHttpClientFactory http, TimeProvider time, ILogger<Failover> log)
    : IDisposable
{
    /// <summary>Name of the HTTP client for providers.</summary>
    public const string HttpClientName = "models";

    private readonly ConcurrentDictionary<string, ProviderRoute> _routes = new(StringComparer.Ordinal);
    private readonly IChatClient _extractive = new Measured(
        new ExtractiveChatClient(options.Value.Extractive, time), ExtractiveChatClient.ProviderName, ExtractiveChatClient.ModelName, prices: null, time, content.Value.Content);

    public ChatModel Open(AgentDefinition agent, string model)
    {
        if (model == ExtractiveChatClient.ModelName)
            return new ChatModel(_extractive, ContextTokens: 1_000_000, IsOffline: true);
        var routes = catalog.RoutesOf(agent, model).Select(Route).ToList();
        return new ChatModel(new Failover(routes, time, log), routes[0].Options.ContextTokens, IsOffline: false)
        {
            InputPrice = routes.Max(route => route.Options.InputPrice) ?? 0,
            OutputPrice = routes.Max(route => route.Options.OutputPrice) ?? 0,
        };
    }

    public void Dispose()
    {
        _extractive.Dispose();
        foreach (var route in _routes.Values)
            route.Client.Dispose();
    }

    private ProviderRoute Route(ProviderOptions provider) => _routes.GetOrAdd(provider.DisplayName, _ => new ProviderRoute(
        provider,
        new Measured(
            new TimeLimits(new OpenAIChatClient(http.CreateClient(HttpClientName), provider, time), provider, time),
            provider.DisplayName,
            provider.Model,
            provider,
            time,
            content.Value.Content),
        new CircuitBreaker(time)));
}

/// <summary>A model ready to be asked.</summary>
/// <param name="ContextTokens">Prompt and answer together.</param>
/// <param name="IsOffline">The built-in model, which reads no prompt.</param>
internal sealed record ChatModel(IChatClient Client, int ContextTokens, bool IsOffline)
{
    /// <summary>Of a million tokens, at the dearest of the providers that may answer; 0: no price is known.</summary>
    public decimal InputPrice { get; init; }

    public decimal OutputPrice { get; init; }

    public decimal CostOf(long inputTokens, long outputTokens) => ((inputTokens * InputPrice) + (outputTokens * OutputPrice)) / 1_000_000m;
}
