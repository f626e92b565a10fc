using System.Net;
using System.Net.Http.Headers;
using AgentFlow.ServiceDefaults.Health;

namespace AgentFlow.ApiService.Models;

/// <summary>Whether a chat provider can be reached; lists its models, which spends no tokens. The built-in model is always there.</summary>
internal sealed class ModelCheck(ModelCatalog catalog, IHttpClientFactory clients) : IReadinessCheck
{
    public string Name => "model";

    public async Task<CheckResult> CheckAsync(CancellationToken ct)
    {
        var problems = await Task.WhenAll(catalog.ChatProviders.Select(provider => ProblemOfAsync(provider, ct)));
        var found = problems.OfType<string>().ToList();
        return found.Count == 0 ? CheckResult.Ok
            : new(found.Count == problems.Length ? CheckStatus.Failed : CheckStatus.Degraded, string.Join(" ", found));
    }

    /// <summary>Null when the provider answers; any answer but a refused key or a failure counts, since not every server lists models.</summary>
    private async Task<string?> ProblemOfAsync(ProviderOptions provider, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{provider.Endpoint.TrimEnd('/')}/models");
        if (provider.ApiKey is { Length: > 0 } key)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        try
        {
            using var response = await clients.CreateClient(ChatPipeline.HttpClientName).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            return response.StatusCode switch
            {
                HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => $"{provider.DisplayName} refuses the API key.",
                >= HttpStatusCode.InternalServerError => $"{provider.DisplayName} answers {(int)response.StatusCode}.",
                _ => null,
            };
        }
        catch (Exception error) when (error is HttpRequestException or TaskCanceledException)
        {
            return $"{provider.DisplayName} does not answer.";
        }
    }
}
