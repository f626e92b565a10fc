using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Ranking;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Search;

/// <summary>What a search is for, checked and bound to the caller.</summary>
internal sealed record MemoryQuery(string Text, FilterExpression? Filter)
{
    /// <summary>What the caller's key is bound to, which the filter holds too; null when it sees all of its owner's.</summary>
    public FilterExpression? Visible { get; init; }

    public int TopK { get; init; } = 10;

    public double Threshold { get; init; }

    public DateTimeOffset? AsOf { get; init; }

    public DateTimeOffset? KnownAt { get; init; }

    public bool Explain { get; init; }

    public MemoryId? ExplainId { get; init; }

    public bool Rerank { get; init; }

    public bool Expired { get; init; }
}

/// <param name="Ranked">Best first, above the threshold, at most <see cref="MemoryQuery.TopK"/>.</param>
internal sealed record MemoryFindings(IReadOnlyList<FoundMemory> Ranked, IReadOnlyList<string>? Degraded, string? Explanation);

internal sealed record FoundMemory(MemoryRow Row, double Score, RankParts Parts)
{
    /// <summary>What age took from the score, 0 to 1; 1 without decay.</summary>
    public double Decay { get; init; } = 1;

    internal MemoryItem ToItem(bool explain) => Row.ToItem() with { Score = Score, Scores = explain ? Explained() : null };

    private IReadOnlyDictionary<string, double> Explained() =>
        Decay == 1 ? Parts.ToDictionary() : new Dictionary<string, double>(Parts.ToDictionary(), StringComparer.Ordinal) { ["decay"] = Decay };
}

/// <summary>
/// Finds memories: candidates from the index and from the entities that the query names, ranked, then joined with what Postgres holds at
/// this moment. The join drops whatever the index still believes; the tail that the index has not seen yet is brought in before. Thread-safe.
/// </summary>
internal sealed class MemorySearch(
    VectorIndex index, IndexedWrites writes, MemoryTruth truth, CandidateRows rows, EntityCandidates entities, MemoryEmbedding embedding, EmbeddingSpace space,
    MemoryDecay decay, TimeProvider time, IMemoryReranker? reranker = null)
{
    private const int MaxCandidates = 1_000;

    /// <summary>The index is asked again while it turns out to be behind; each time it was told before, so only changes made meanwhile are left.</summary>
    private const int MaxAsked = 4;

    private readonly RankWeights _weights = RankWeights.For(space);

    internal async Task<MemoryFindings> FindAsync(Guid ownerId, MemoryQuery query, CancellationToken ct)
    {
        var now = time.GetUtcNow();
        var degraded = new List<string>();
        var named = entities.FindAsync(ownerId, query.Text, ct);
        var vectors = await embedding.TryEmbedAsync([query.Text], ct);
        if (vectors is null)
            degraded.Add(MemoryEmbedding.Unavailable);
        var indexQuery = new IndexQuery
        {
            Vector = vectors?[0],
            Text = query.Text,
            Filter = FilterExpression.AllOf(query.Filter, SearchValidity.Of(query, now)),
            Limit = CandidatesFor(query.TopK),
            WithNeighbours = true,
        };
        var candidates = await CandidatesAsync(ownerId, query, indexQuery, await named, degraded, now, ct);
        var found = candidates.Found;
        if (query.Rerank && reranker is not null)
            found = await reranker.RerankAsync(query.Text, found, ct);
        var results = found.Where(memory => memory.Score >= query.Threshold).Take(query.TopK).ToList();
        var explanation = query.ExplainId is { } id
            ? await Explanation.WhyNotAsync(rows, ownerId, id, query, candidates, results, now, ct)
            : null;
        return new MemoryFindings(results, degraded.Count == 0 ? null : [.. degraded.Distinct(StringComparer.Ordinal)], explanation);
    }

    /// <summary>Ranked candidates that Postgres confirms; the index is asked again when it did not know everything that is committed.</summary>
    private async Task<Candidates> CandidatesAsync(
        Guid ownerId, MemoryQuery query, IndexQuery indexQuery, IReadOnlyDictionary<Guid, double> named, List<string> degraded, DateTimeOffset now, CancellationToken ct)
    {
        if (!writes.IsInProcess && await rows.QueuedAsync(ownerId, ct) is { Count: > 0 } queued)
            await writes.CatchUpAsync(ownerId, queued, ct);
        for (var asked = 1; ; asked++)
        {
            var answer = await index.For(ownerId).SearchAsync(indexQuery, ct);
            var exact = writes.IsInProcess || answer.Degraded is not null;
            var ranked = Rank(query, answer.Hits, named);
            var joined = await rows.JoinAsync(ownerId, ranked.Take(Ahead(query)).Select(one => one.Candidate.Id), exact, ct);
            var behind = Behind(answer.Hits, joined);
            if (behind.Count > 0)
                await writes.CatchUpAsync(ownerId, behind, ct);
            if (joined.Horizon is { } horizon)
                truth.Advance(ownerId, horizon);
            if (behind.Count > 0 && asked < MaxAsked)
                continue;
            if (answer.Degraded is { } reason)
                degraded.Add(reason);
            var found = await ConfirmAsync(ownerId, query, answer.Hits, ranked, joined.Rows, now, ct);
            return new Candidates(answer.Hits, ranked, found);
        }
    }

    /// <summary>What the index has not seen, and living memories that it gave in an older version: they got a new one between the question and the join.</summary>
    private static List<Guid> Behind(IReadOnlyList<IndexHit> hits, CandidateRows.Joined joined)
    {
        var versions = hits.ToDictionary(hit => hit.Id, hit => hit.Version);
        return [.. joined.Tail.Union(joined.Rows
            .Where(row => row.Status == MemoryStatus.Active && versions.TryGetValue(row.Id.Value, out var version) && version < row.Version)
            .Select(row => row.Id.Value))];
    }

    /// <summary>Joins further candidates while too few of those before were still there.</summary>
    private async Task<IReadOnlyList<FoundMemory>> ConfirmAsync(
        Guid ownerId, MemoryQuery query, IReadOnlyList<IndexHit> hits, IReadOnlyList<Ranked> ranked, IReadOnlyList<MemoryRow> first, DateTimeOffset now, CancellationToken ct)
    {
        var versions = hits.ToDictionary(hit => hit.Id, hit => hit.Version);
        var found = new List<FoundMemory>();
        var read = first;
        for (var from = 0; from < ranked.Count; from += Ahead(query))
        {
            var page = ranked.Skip(from).Take(Ahead(query)).ToList();
            if (from > 0)
                read = (await rows.JoinAsync(ownerId, page.Select(one => one.Candidate.Id), exact: false, ct)).Rows;
            var shown = read.Where(row => IsShown(row, query, now) && IsCurrent(row, versions, query)).ToDictionary(row => row.Id.Value);
            found.AddRange(page.Where(one => shown.ContainsKey(one.Candidate.Id)).Select(one => new FoundMemory(shown[one.Candidate.Id], one.Score, one.Parts)));
            if (found.Count >= query.TopK)
                break;
        }

        return decay.Apply(found, now);
    }

    /// <summary>
    /// What each of the two ways contributes: so many that neighbours and sessions have something to lend from. Of conversations, the first 10 found
    /// with 100 are those found with 200, and the first 50 need 200.
    /// </summary>
    /// <param name="topK">Memories that are asked for, 1 to 1,000.</param>
    internal static int CandidatesFor(int topK) => Math.Min(MaxCandidates, Math.Max(Math.Clamp(topK * 4, 100, 200), topK * 2));

    /// <summary>Some more than asked for: the join may drop a few, and decay may change their order.</summary>
    private static int Ahead(MemoryQuery query) => query.TopK + Math.Max(10, query.TopK / 2);

    private IReadOnlyList<Ranked> Rank(MemoryQuery query, IReadOnlyList<IndexHit> hits, IReadOnlyDictionary<Guid, double> named)
    {
        var candidates = new List<RankCandidate>(hits.Count + named.Count);
        foreach (var hit in hits)
            candidates.Add(named.TryGetValue(hit.Id, out var strength) ? RankCandidate.From(hit) with { Entity = strength } : RankCandidate.From(hit));
        if (named.Count > 0)
        {
            var known = hits.Select(hit => hit.Id).ToHashSet();
            candidates.AddRange(named.Where(one => !known.Contains(one.Key)).Select(one => new RankCandidate { Id = one.Key, Entity = one.Value }));
        }

        return ConversationRanker.Rank(query.Text, candidates, _weights);
    }

    /// <summary>A hit must be the version that Postgres has; what only an entity brought must pass the filter, which the index has not applied.</summary>
    private static bool IsCurrent(MemoryRow row, Dictionary<Guid, long> versions, MemoryQuery query) =>
        versions.TryGetValue(row.Id.Value, out var version)
            ? version == row.Version
            : query.Filter is null || query.Filter.Matches(new MemoryFields(row));

    private static bool IsShown(MemoryRow row, MemoryQuery query, DateTimeOffset now) =>
        (query.Expired ? row.Status == MemoryStatus.Active : row.IsShownAt(now))
        && (query.AsOf is { } moment ? row.WasTrueAt(moment) : row.ValidTo is null);

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
        if (request is { KnownAt: not null, ExplainId: not null })
            throw Ingestion.AddRequestRules.Invalid("explainId", "explainId does not go with knownAt.");
        return new MemoryQuery(request.Query, MemoryFilters.Bind(caller, request.Filter))
        {
            Visible = caller.Condition(),
            TopK = request.TopK,
            Threshold = request.Threshold ?? 0,
            AsOf = request.AsOf,
            KnownAt = request.KnownAt,
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

/// <summary>What a search looked at, from the index's hits to the memories that Postgres confirmed.</summary>
internal sealed record Candidates(IReadOnlyList<IndexHit> Hits, IReadOnlyList<Ranked> Ranked, IReadOnlyList<FoundMemory> Found);
