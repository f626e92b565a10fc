using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Ranking;
using Microsoft.Extensions.Options;

namespace AgentFlow.MemoryService.Search;

/// <summary>
/// Searches what was recorded at a moment of the past: texts as they were then, facts that had not been closed yet. Reads the versions of that
/// moment and searches them exactly, so it costs what loading an owner costs (about 60 ms for 5,000 memories), each time; one such search at a time,
/// so that memory is bounded. Thread-safe.
/// </summary>
internal sealed class PastSearch(MemoryReader reader, MemoryEmbedding embedding, EmbeddingSpace space, IOptions<MemoryOptions> options) : IDisposable
{
    /// <summary>In <c>degraded</c>: there were more memories than <c>Memory:MaxPastMemories</c>, and the oldest of them were not looked at.</summary>
    internal const string Truncated = "past_truncated";

    private const int PageSize = 5_000;

    private readonly SemaphoreSlim _turn = new(1);

    public void Dispose() => _turn.Dispose();

    internal async Task<MemoryFindings> FindAsync(Guid ownerId, MemoryQuery query, DateTimeOffset knownAt, CancellationToken ct)
    {
        await _turn.WaitAsync(ct);
        try
        {
            return await FindAloneAsync(ownerId, query, knownAt, ct);
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task<MemoryFindings> FindAloneAsync(Guid ownerId, MemoryQuery query, DateTimeOffset knownAt, CancellationToken ct)
    {
        var most = options.Value.MaxPastMemories;
        var rows = new Dictionary<Guid, MemoryRow>();
        var listing = new MemoryListing { Filter = query.Filter, KnownAt = knownAt, AsOf = query.AsOf, Expired = query.Expired };
        IReadOnlyList<MemoryRow> page;
        do
        {
            // One more than is looked at tells whether there are more.
            listing = listing with { Limit = Math.Min(PageSize, most + 1 - rows.Count) };
            page = await reader.ListAsync(ownerId, listing, ct);
            foreach (var row in page)
                rows[row.Id.Value] = row;
            listing = listing with { Before = page.Count == 0 ? null : page[^1].Sequence };
        }
        while (page.Count == listing.Limit && rows.Count <= most);
        if (rows.Count == 0)
            return new MemoryFindings([], null, null);
        var isTruncated = rows.Count > most;
        if (isTruncated)
            rows.Remove(page[^1].Id.Value);

        // Versions of the past have no vectors of their own; only the built-in embedder makes them again without a call for each.
        var vectors = embedding.IsBuiltIn ? await embedding.TryEmbedAsync([query.Text, .. rows.Values.Select(row => row.Text)], ct) : null;
        var points = rows.Values.Select((row, i) => MemoryTruth.ToPoint(row, vectors is null ? ReadOnlyMemory<float>.Empty : vectors[i + 1])).ToList();
        var index = VectorIndex.InProcess(new Past(points), space, new InProcessIndexOptions());
        var answer = await index.For(ownerId).SearchAsync(
            new IndexQuery { Text = query.Text, Vector = vectors?[0], Limit = MemorySearch.CandidatesFor(query.TopK), WithNeighbours = true }, ct);
        var ranked = ConversationRanker.Rank(query.Text, [.. answer.Hits.Select(RankCandidate.From)], RankWeights.For(space));
        return new MemoryFindings(
            [.. ranked.Where(one => one.Score >= query.Threshold).Take(query.TopK).Select(one => new FoundMemory(rows[one.Candidate.Id], one.Score, one.Parts))],
            isTruncated ? [Truncated] : null,
            null);
    }

    private sealed class Past(IReadOnlyList<IndexPoint> points) : IIndexTruth
    {
        public IAsyncEnumerable<IndexPoint> LoadAsync(Guid ownerId, CancellationToken ct) => points.ToAsyncEnumerable();

        public Task<IReadOnlyList<TruthPoint>> ReadAsync(IReadOnlyList<Guid> ids, CancellationToken ct) => throw new NotSupportedException("The past does not change.");

        public Task<IReadOnlyList<IndexEntry>> PageAsync(Guid? after, int limit, TimeSpan settledFor, CancellationToken ct) => throw new NotSupportedException("The past is not swept.");
    }
}
