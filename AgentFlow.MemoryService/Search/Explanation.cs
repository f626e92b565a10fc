using System.Globalization;
using AgentFlow.Contracts;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;

namespace AgentFlow.MemoryService.Search;

/// <summary>Says why a memory that was asked about is not among the results, by the first reason on its way that applies.</summary>
internal static class Explanation
{
    /// <summary>A memory outside of what the caller's key may see is as unknown as one that does not exist.</summary>
    internal const string Unknown = "There is no such memory.";

    /// <returns>Null when it was returned.</returns>
    internal static async Task<string?> WhyNotAsync(
        CandidateRows rows, Guid ownerId, MemoryId id, MemoryQuery query, Candidates candidates, IReadOnlyList<FoundMemory> results, DateTimeOffset now, CancellationToken ct)
    {
        if (results.Any(found => found.Row.Id == id))
            return null;
        return await rows.FindAsync(ownerId, id, ct) is { } row ? Why(row, query, candidates, now) : Unknown;
    }

    private static string Why(MemoryRow row, MemoryQuery query, Candidates candidates, DateTimeOffset now)
    {
        var fields = new MemoryFields(row);
        if (query.Visible is { } visible && !visible.Matches(fields))
            return Unknown;
        if (row.Status != MemoryStatus.Active)
            return $"It is {row.Status.ToString().ToLowerInvariant()}.";
        if (query.Filter is { } filter && FilterWords.FirstUnmet(filter, fields) is { } clause)
            return $"The filter excludes it: {clause} does not hold.";
        if (!query.Expired && !row.IsShownAt(now))
            return $"It expired at {row.ExpiresAt:O}.";
        if (query.AsOf is { } moment && !row.WasTrueAt(moment))
            return $"It was true from {row.ValidFrom:O}{(row.ValidTo is { } to ? $" to {to:O}" : string.Empty)}, not at {moment:O}.";
        if (query.AsOf is null && row.ValidTo is not null)
            return row.SupersededBy is { } by ? $"It was superseded by {by} at {row.ValidTo:O}." : $"It ended at {row.ValidTo:O}.";
        return Rank(row, query, candidates);
    }

    private static string Rank(MemoryRow row, MemoryQuery query, Candidates candidates)
    {
        var place = candidates.Ranked.ToList().FindIndex(ranked => ranked.Candidate.Id == row.Id.Value);
        if (place < 0)
            return $"It is not among the {candidates.Ranked.Count} candidates: too few words and too little similarity in common with the query.";
        if (candidates.Hits.FirstOrDefault(hit => hit.Id == row.Id.Value) is { } hit && hit.Version != row.Version)
            return "The index holds an older version of it; it is being brought up to date.";
        var score = candidates.Found.FirstOrDefault(found => found.Row.Id == row.Id)?.Score ?? candidates.Ranked[place].Score;
        return score < query.Threshold
            ? string.Create(CultureInfo.InvariantCulture, $"Its score {score:0.####} is below the threshold {query.Threshold:0.####}.")
            : string.Create(CultureInfo.InvariantCulture, $"It ranked {place + 1} with score {score:0.####}; topK is {query.TopK}.");
    }
}
