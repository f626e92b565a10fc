using System.Text.RegularExpressions;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Retrieval.Index;
using Microsoft.Extensions.Options;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>New facts that are stored already in other words, by the id of the new one.</summary>
internal sealed record Known(IReadOnlyDictionary<MemoryId, MemoryRow> Same)
{
    internal static readonly Known None = new(new Dictionary<MemoryId, MemoryRow>());

    internal IEnumerable<MemoryAddition> Additions => Same.Values.Select(row => new MemoryAddition(row.Id, row.Text, MemoryChange.Duplicate));

    internal bool Has(NewMemory memory) => Same.ContainsKey(memory.Id);
}

/// <summary>Finds inferred facts that repeat a live memory of exactly the same subjects. Thread-safe.</summary>
internal sealed partial class SimilarityDeduplication(VectorIndex index, MemoryReader reader, IOptions<MemoryOptions> options, TimeProvider time)
{
    private const int MaxNeighbours = 5;

    internal async Task<Known> FindAsync(Guid ownerId, IReadOnlyList<NewMemory> memories, CancellationToken ct)
    {
        var near = new List<(NewMemory Memory, Guid Id)>();
        foreach (var memory in memories.Where(memory => !memory.Vector.IsEmpty && memory.Contradicts.Count == 0))
        {
            var answer = await index.For(ownerId).SearchAsync(
                new IndexQuery { Vector = memory.Vector, Filter = SameSubjects(memory.Scope), Limit = MaxNeighbours }, ct);
            near.AddRange(answer.Hits.Where(hit => hit.Dense >= options.Value.DuplicateSimilarity).Select(hit => (memory, hit.Id)));
        }

        if (near.Count == 0)
            return Known.None;
        var rows = (await reader.GetManyAsync(ownerId, [.. near.Select(pair => pair.Id).Distinct()], ct)).ToDictionary(row => row.Id.Value);
        var now = time.GetUtcNow();
        var same = new Dictionary<MemoryId, MemoryRow>();
        foreach (var (memory, id) in near)
        {
            if (rows.TryGetValue(id, out var row) && row.IsShownAt(now) && row.ValidTo is null && SaysTheSame(memory.Text, row.Text))
                same.TryAdd(memory.Id, row);
        }

        return new Known(same);
    }

    /// <summary>Near in space is not enough: other numbers, a negation or another value of the same slot make another fact. Pure.</summary>
    internal static bool SaysTheSame(string first, string second) =>
        FactSlot.Parse(first) == FactSlot.Parse(second)
        && Numbers(first).SequenceEqual(Numbers(second), StringComparer.Ordinal)
        && NegationPattern().Count(first) == NegationPattern().Count(second);

    private static IEnumerable<string> Numbers(string text) => NumberPattern().Matches(text).Select(match => match.Value);

    private static FilterExpression SameSubjects(MemoryScope scope)
    {
        FilterExpression filter = new FilterExpression.Not(new FilterExpression.Exists(new FilterField("valid_to", [])));
        foreach (var (column, value) in SubjectFilter.Pairs(scope))
        {
            var field = new FilterField(column, []);
            filter = FilterExpression.AllOf(
                filter, value is null ? new FilterExpression.Not(new FilterExpression.Exists(field)) : new FilterExpression.AnyOf(field, [new FilterValue(value)]))!;
        }

        return filter;
    }

    [GeneratedRegex(@"\d+(?:[.,:]\d+)*", RegexOptions.CultureInvariant, 10_000)]
    private static partial Regex NumberPattern();

    [GeneratedRegex(@"\b(?:not|no|never|none|nobody|nothing|without|cannot|no longer)\b|n't\b|n’t\b", RegexOptions.CultureInvariant | RegexOptions.IgnoreCase, 10_000)]
    private static partial Regex NegationPattern();
}
