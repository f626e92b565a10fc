using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Models.OpenAICompatible;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging.Abstractions;

namespace AgentFlow.Tests.ApiService.Models;

/// <summary>Clients over scripted providers, put together as the pipeline does it.</summary>
internal static class ProviderFixture
{
    public static readonly HttpClient Http = new() { Timeout = Timeout.InfiniteTimeSpan };

    public static ProviderOptions Options(ScriptedProvider provider, string name = "one") => new()
    {
        Name = name,
        Endpoint = provider.Endpoint.ToString(),
        ApiKey = "test-key",
        Model = "scripted",
        MaxAttempts = 2,
    };

    public static ProviderRoute Route(ProviderOptions options, TimeProvider? time = null)
    {
        time ??= TimeProvider.System;
        var client = new TimeLimits(new OpenAIChatClient(Http, options, time), options, time);
        return new ProviderRoute(options, new Measured(client, options.DisplayName, options.Model, options, time), new CircuitBreaker(time));
    }

    public static Failover Failover(params ProviderRoute[] routes) => new(routes, TimeProvider.System, NullLogger<Failover>.Instance);

    public static IReadOnlyList<ChatMessage> Prompt { get; } = [new(ChatRole.User, "Hello")];

    public static async Task<List<ChatResponseUpdate>> ReadAsync(IChatClient client, CancellationToken ct)
    {
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in client.GetStreamingResponseAsync(Prompt, null, ct))
            updates.Add(update);
        return updates;
    }

    public static string Text(IEnumerable<ChatResponseUpdate> updates) => string.Concat(updates.Select(u => u.Text));
}
