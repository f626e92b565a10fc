using AgentFlow.ServiceDefaults.Health;

namespace AgentFlow.Retrieval.Index;

/// <summary>The index may be down: searches then go the exact way and say so.</summary>
public sealed class IndexCheck(VectorIndex index) : IReadinessCheck
{
    public string Name => "index";

    public async Task<CheckResult> CheckAsync(CancellationToken ct)
    {
        try
        {
            await index.ProbeAsync(ct);
            return CheckResult.Ok;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or TimeoutException)
        {
            return new(CheckStatus.Degraded, $"The {index.Name} index does not answer.");
        }
    }
}
