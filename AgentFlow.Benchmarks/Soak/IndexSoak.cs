using System.Diagnostics;
using System.Globalization;
using AgentFlow.Tests.Retrieval.Index.Histories;
using AgentFlow.Tests.Support;

namespace AgentFlow.Benchmarks.Soak;

/// <summary>Random histories of both indexes in full, then each with one guard left out, which must be noticed.</summary>
internal static class IndexSoak
{
    private const int DefaultHistories = 1_000;
    private const int ControlHistories = 20;

    public static async Task<int> RunAsync(string[] args, CancellationToken ct)
    {
        var count = args.Length > 0 ? int.Parse(args[0], CultureInfo.InvariantCulture) : DefaultHistories;
        var seed = args.Length > 1 ? int.Parse(args[1], CultureInfo.InvariantCulture) : Random.Shared.Next();
        Console.WriteLine($"{count} histories on each index, seed {seed}");
        await using var qdrant = await QdrantServer.StartAsync();
        var isGood = await ReportAsync("Qdrant", MissingGuard.None, missing => IndexHistories.OnQdrantAsync(qdrant, count, seed, missing, withCrashes: true, ct));
        isGood &= await ReportAsync("in process", MissingGuard.None, missing => IndexHistories.InProcessAsync(count, seed, missing, ct));
        foreach (var guard in (MissingGuard[])[MissingGuard.OutboxInsert, MissingGuard.ReadJoin, MissingGuard.Tombstone])
        {
            isGood &= await ReportAsync("Qdrant", guard, missing => IndexHistories.OnQdrantAsync(qdrant, ControlHistories, seed, missing, withCrashes: false, ct));
            isGood &= await ReportAsync("in process", guard, missing => IndexHistories.InProcessAsync(ControlHistories, seed, missing, ct));
        }

        return isGood ? 0 : 1;
    }

    private static async Task<bool> ReportAsync(string index, MissingGuard missing, Func<MissingGuard, Task<HistoryResult>> run)
    {
        var watch = Stopwatch.StartNew();
        var result = await run(missing);
        var isWrong = result.WrongHits + result.Differences > 0;
        var isAsExpected = isWrong == (missing != MissingGuard.None);
        Console.WriteLine(
            $"{index,-11} {(missing == MissingGuard.None ? "all guards" : "without " + missing),-22} {result.Searches,7} searches, {result.WrongHits,5} wrong hits, {result.Differences,5} differences, {watch.Elapsed.TotalSeconds,6:F1} s: {(isAsExpected ? "as it must be" : "WRONG")}");
        return isAsExpected;
    }
}
