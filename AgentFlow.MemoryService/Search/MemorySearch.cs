using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Ranking;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Search;

/// <summary>What a search is for, checked and bound to the caller.</summary>
internal sealed record MemoryQuery(string Text, FilterExpression? Filter)
{
    public int TopK { get; init; } = 10;

    public double Threshold { get; init; }

    public DateTimeOffset? AsOf { get; init; }

    public bool Explain { get; init; }

    public MemoryId? ExplainId { get; init; }

    public bool Rerank { get; init; }

    public bool Expired { get; init; }
}

/// <param name="Ranked">Best first, above the threshold, at most <see cref="MemoryQuery.TopK"/>.</param>
internal sealed record MemoryFindings(IReadOnlyList<FoundMemory> Ranked, IReadOnlyList<string>? Degraded, string? Explanation);

internal sealed record FoundMemory(MemoryRow Row, double Score, RankParts Parts)
{
    internal MemoryItem ToItem(bool explain) => Row.ToItem() with { Score = Score, Scores = explain ? Parts.ToDictionary() : null };
}

/// <summary>
/// Finds memories: candidates from the index, joined with what Postgres holds at this moment, ranked, cut. The join drops whatever the
/// index still believes; the tail that the index has not seen yet is brought in before. Thread-safe.
/// </summary>
internal sealed class MemorySearch(
    VectorIndex index, IndexedWrites writes, MemoryTruth truth, CandidateRows rows, MemoryEmbedding embedding, TimeProvider time)
{
    /// <summary>Both ways contribute at least this many candidates, so that fusion has something to choose from.</summary>
    private const int MinCandidates = 60;

    private const int MaxCandidates = 1_000;

    internal async Task<MemoryFindings> FindAsync(Guid ownerId, MemoryQuery query, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var degraded = new List<string>();
        var vectors = await embedding.TryEmbedAsync([query.Text], ct);
        if (vectors is null)
            degraded.Add(MemoryEmbedding.Unavailable);
        var indexQuery = new IndexQuery
        {
            Vector = vectors?[0],
            Text = query.Text,
            Filter = FilterExpression.AllOf(query.Filter, Validity(query, now)),
            Limit = Math.Clamp(query.TopK * 2, MinCandidates, MaxCandidates),
            WithNeighbours = true,
        };
        var (hits, found) = await CandidatesAsync(ownerId, indexQuery, degraded, ct);
        var shown = found.Where(row => IsShown(row, query, now)).ToDictionary(row => row.Id.Value);
        var ranked = Rank(query, hits, shown);
        var results = ranked.Where(found => found.Score >= query.Threshold).Take(query.TopK).ToList();
        var explanation = query.ExplainId is { } id
            ? await Explanation.WhyNotAsync(rows, ownerId, id, query, hits, ranked, results, now, ct)
            : null;
        return new MemoryFindings(results, degraded.Count == 0 ? null : [.. degraded.Distinct(StringComparer.Ordinal)], explanation);
    }

    /// <summary>The index's candidates and their rows; asked again when the index did not know everything that is committed.</summary>
    private async Task<(IReadOnlyList<IndexHit> Hits, IReadOnlyList<MemoryRow> Rows)> CandidatesAsync(
        Guid ownerId, IndexQuery query, List<string> degraded, CancellationToken ct)
    {
        var owned = index.For(ownerId);
        var answer = await owned.SearchAsync(query, ct);
        var joined = await rows.JoinAsync(ownerId, answer.Hits, IsExact(answer), ct);
        if (joined.Tail.Count > 0)
        {
            await writes.CatchUpAsync(ownerId, joined.Tail, ct);
            answer = await owned.SearchAsync(query, ct);
            var again = await rows.JoinAsync(ownerId, answer.Hits, IsExact(answer), ct);
            joined = again with { Horizon = joined.Horizon };
        }

        if (joined.Horizon is { } horizon)
            truth.Advance(ownerId, horizon);
        if (answer.Degraded is { } reason)
            degraded.Add(reason);
        return (answer.Hits, joined.Rows);
    }

    private bool IsExact(IndexAnswer answer) => writes.IsInProcess || answer.Degraded is not null;

    private List<FoundMemory> Rank(MemoryQuery query, IReadOnlyList<IndexHit> hits, Dictionary<Guid, MemoryRow> shown)
    {
        var candidates = hits.Where(hit => shown.TryGetValue(hit.Id, out var row) && row.Version == hit.Version).Select(RankCandidate.From).ToList();
        return [.. MemoryRanking.Rank(query.Text, candidates, embedding.Weights).Select(ranked => new FoundMemory(shown[ranked.Candidate.Id], ranked.Score, ranked.Parts))];
    }

    private static bool IsShown(MemoryRow row, MemoryQuery query, DateTimeOffset now) =>
        (query.Expired ? row.Status == MemoryStatus.Active : row.IsShownAt(now))
        && (query.AsOf is { } moment ? row.WasTrueAt(moment) : row.ValidTo is null);

    /// <summary>
    /// What keeps closed and expired facts from crowding out others. The moment is cut to the minute, so that the index can keep the
    /// filter's result for later searches; the join is exact.
    /// </summary>
    private static FilterExpression? Validity(MemoryQuery query, DateTimeOffset now)
    {
        FilterExpression validity = query.AsOf is { } moment
            ? new FilterExpression.And([
                new FilterExpression.Range(MemoryFilters.ValidFrom, null, MemoryFilters.At(moment, inclusive: true)),
                new FilterExpression.Or([
                    new FilterExpression.Not(new FilterExpression.Exists(MemoryFilters.ValidTo)),
                    new FilterExpression.Range(MemoryFilters.ValidTo, MemoryFilters.At(moment, inclusive: false), null)])])
            : new FilterExpression.Not(new FilterExpression.Exists(MemoryFilters.ValidTo));
        if (query.Expired)
            return validity;
        var minute = new DateTimeOffset(now.UtcTicks - (now.UtcTicks % TimeSpan.TicksPerMinute), TimeSpan.Zero);
        return new FilterExpression.And([
            validity,
            new FilterExpression.Or([
                new FilterExpression.Not(new FilterExpression.Exists(MemoryFilters.ExpiresAt)),
                new FilterExpression.Range(MemoryFilters.ExpiresAt, MemoryFilters.At(minute, inclusive: true), null)])]);
    }

    /// <exception cref="ProblemException">400: the request is not in order.</exception>
    internal static MemoryQuery Check(MemoryCaller caller, SearchMemoriesRequest request)
    {
        CheckQuery(request.Query);
        if (request.TopK is < 1 or > 1_000)
            throw Ingestion.AddRequestRules.Invalid("topK", "topK is 1 to 1000.");
        if (request.Threshold is < 0 or > 1)
            throw Ingestion.AddRequestRules.Invalid("threshold", "threshold is 0 to 1.");
        if (request.ExplainId is not null && !request.Explain)
            throw Ingestion.AddRequestRules.Invalid("explainId", "explainId needs explain.");
        return new MemoryQuery(request.Query, MemoryFilters.Bind(caller, request.Filter))
        {
            TopK = request.TopK,
            Threshold = request.Threshold ?? 0,
            AsOf = request.AsOf,
            Explain = request.Explain,
            ExplainId = request.ExplainId,
            Rerank = request.Rerank,
        };
    }

    internal static void CheckQuery(string query)
    {
        if (string.IsNullOrWhiteSpace(query) || query.Contains('\0', StringComparison.Ordinal))
            throw Ingestion.AddRequestRules.Invalid("query", "query is text that is not empty and holds no U+0000.");
        if (query.Length > 20_000)
            throw new ProblemException(StatusCodes.Status413PayloadTooLarge, "query_too_long", "query has at most 20,000 characters.");
    }
}
