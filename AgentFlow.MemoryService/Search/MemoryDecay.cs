using AgentFlow.MemoryService.Memories;
using Microsoft.Extensions.Options;

namespace AgentFlow.MemoryService.Search;

/// <summary>Lets old memories count less, when <c>Memory:DecayHalfLife</c> is set. Thread-safe.</summary>
internal sealed class MemoryDecay(IOptions<MemoryOptions> options)
{
    internal IReadOnlyList<FoundMemory> Apply(IReadOnlyList<FoundMemory> found, DateTimeOffset now) =>
        options.Value.DecayHalfLife is { } halfLife
            ? [.. found.Select(memory => Decayed(memory, Factor(now - Age(memory.Row), halfLife, options.Value.DecayFloor))).OrderByDescending(memory => memory.Score)]
            : found;

    /// <summary>Halves with every half-life, down to the floor. Pure.</summary>
    internal static double Factor(TimeSpan age, TimeSpan halfLife, double floor) =>
        floor + ((1 - floor) * Math.Pow(0.5, Math.Max(0, age / halfLife)));

    private static FoundMemory Decayed(FoundMemory memory, double factor) => memory with { Score = memory.Score * factor, Decay = factor };

    private static DateTimeOffset Age(MemoryRow row) => row.ObservedAt ?? row.UpdatedAt;
}

/// <summary>A second opinion on the best results, for searches that ask for <c>rerank</c>; the host registers one, there is none built in.</summary>
internal interface IMemoryReranker
{
    /// <returns>The same memories in a better order, with scores from 0 to 1.</returns>
    Task<IReadOnlyList<FoundMemory>> RerankAsync(string query, IReadOnlyList<FoundMemory> found, CancellationToken ct);
}
