using System.Globalization;
using AgentFlow.Tests.Support;

namespace AgentFlow.Benchmarks.Soak;

/// <summary>A thousand random cuts with resume, a tenth of them with the API killed in between. <c>-- soak streams [cuts] [seed]</c></summary>
internal static class SoakStreams
{
    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var cuts = options.Length > 0 ? int.Parse(options[0], CultureInfo.InvariantCulture) : 1_000;
        var seed = options.Length > 1 ? int.Parse(options[1], CultureInfo.InvariantCulture) : 20261120;
        await using var postgres = await PrivatePostgres.StartAsync();
        var result = await StreamSoak.RunAsync(await postgres.CreateDatabaseAsync(ct), cuts, seed, ct);
        Console.WriteLine($"seed {seed}: {result.Runs} runs, {result.Cuts} cuts, {result.Kills} SIGKILLs of the API; {result.Completed} completed, {result.Interrupted} interrupted");
        Console.WriteLine($"logs that differ from what their client received: {result.Broken} (goal 0); runs without exactly one terminal event: {result.WithoutOneEnd} (goal 0)");
        return result.IsSound ? 0 : 1;
    }
}
