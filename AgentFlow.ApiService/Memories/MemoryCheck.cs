using AgentFlow.ServiceDefaults.Health;

namespace AgentFlow.ApiService.Memories;

/// <summary>Without the memory service answers are given, but nothing is remembered.</summary>
internal sealed class MemoryCheck(HttpClient http) : IReadinessCheck
{
    public static readonly TimeSpan Timeout = TimeSpan.FromSeconds(1);

    public string Name => "memory";

    public async Task<CheckResult> CheckAsync(CancellationToken ct)
    {
        try
        {
            using var response = await http.GetAsync("/health", ct);
            return response.IsSuccessStatusCode ? CheckResult.Ok : new(CheckStatus.Degraded, $"The memory service answers {(int)response.StatusCode}.");
        }
        catch (HttpRequestException)
        {
            return new(CheckStatus.Degraded, "The memory service does not answer.");
        }
    }
}
