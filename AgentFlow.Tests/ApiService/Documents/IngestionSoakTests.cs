using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>Short and seeded here; in full by <c>dotnet run -c Release --project AgentFlow.Benchmarks -- soak ingestion</c>.</summary>
public sealed class IngestionSoakTests
{
    [Fact]
    public async Task Killed_at_random_moments_every_file_ends_whole()
    {
        var ct = TestContext.Current.CancellationToken;
        await using var postgres = await PrivatePostgres.StartAsync();
        var problems = await IngestionSoak.RunAsync(postgres, kills: 5, files: 8, seed: 20261121, TestContext.Current.SendDiagnosticMessage, ct);
        Assert.Empty(problems);
    }
}
