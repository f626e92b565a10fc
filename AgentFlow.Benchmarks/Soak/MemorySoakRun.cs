using System.Diagnostics;
using System.Globalization;
using AgentFlow.Tests.Support;

namespace AgentFlow.Benchmarks.Soak;

/// <summary>
/// A thousand histories of memories through Postgres, outbox, search and a real Qdrant, then each guard left out, which must be noticed:
/// <c>soak memory [histories [seed]]</c>.
/// </summary>
internal static class MemorySoakRun
{
    private const int DefaultHistories = 1_000;
    private const int ControlHistories = 20;

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var histories = options.Length > 0 ? int.Parse(options[0], CultureInfo.InvariantCulture) : DefaultHistories;
        var seed = options.Length > 1 ? int.Parse(options[1], CultureInfo.InvariantCulture) : Random.Shared.Next();
        Console.WriteLine($"seed {seed}");
        await using var postgres = await PrivatePostgres.StartAsync();
        var isGood = true;
        foreach (var missing in Enum.GetValues<MemoryGuard>())
        {
            await using var qdrant = await QdrantServer.StartAsync();
            var watch = Stopwatch.StartNew();
            var result = await MemorySoak.RunAsync(
                await postgres.CreateDatabaseAsync(ct), qdrant, missing == MemoryGuard.None ? histories : ControlHistories, seed, missing, missing == MemoryGuard.None ? 50 : 0, ct);
            var isAsExpected = (result.WrongHits + result.Differences > 0) == (missing != MemoryGuard.None);
            isGood &= isAsExpected;
            Console.WriteLine(
                $"{(missing == MemoryGuard.None ? "all guards" : $"without {missing}"),-22} {result.Histories} histories, {result.Changes} changes, {result.Crashes} crashes of the worker, {result.Outages} of Qdrant, {result.Searches} searches: {result.WrongHits} wrong hits, {result.Differences} differences, {watch.Elapsed.TotalSeconds:F0} s: {(isAsExpected ? "as it must be" : "WRONG")}");
        }

        return isGood ? 0 : 1;
    }
}
