using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Ranking;

namespace AgentFlow.MemoryService.Search;

/// <summary>
/// Searches what was recorded at a moment of the past: texts as they were then, facts that had not been closed yet. Reads the versions of that
/// moment and searches them exactly, so it costs what loading an owner costs (about 60 ms for 5,000 memories), each time. Thread-safe.
/// </summary>
internal sealed class PastSearch(MemoryReader reader, MemoryEmbedding embedding, EmbeddingSpace space)
{
    /// <summary>Memories that are looked at, the newest of those that the filter leaves.</summary>
    private const int MaxLoaded = 10_000;

    internal async Task<MemoryFindings> FindAsync(Guid ownerId, MemoryQuery query, DateTimeOffset knownAt, CancellationToken ct)
    {
        var listing = new MemoryListing { Filter = query.Filter, KnownAt = knownAt, AsOf = query.AsOf, Expired = query.Expired, Limit = MaxLoaded };
        var rows = (await reader.ListAsync(ownerId, listing, ct)).ToDictionary(row => row.Id.Value);
        if (rows.Count == 0)
            return new MemoryFindings([], null, null);

        // Versions of the past have no vectors of their own; only the built-in embedder makes them again without a call for each.
        var vectors = embedding.IsBuiltIn ? await embedding.TryEmbedAsync([query.Text, .. rows.Values.Select(row => row.Text)], ct) : null;
        var points = rows.Values.Select((row, i) => MemoryTruth.ToPoint(row, vectors is null ? ReadOnlyMemory<float>.Empty : vectors[i + 1])).ToList();
        var index = VectorIndex.InProcess(new Past(points), space, new InProcessIndexOptions());
        var answer = await index.For(ownerId).SearchAsync(
            new IndexQuery { Text = query.Text, Vector = vectors?[0], Limit = MemorySearch.CandidatesFor(query.TopK), WithNeighbours = true }, ct);
        var ranked = ConversationRanker.Rank(query.Text, [.. answer.Hits.Select(RankCandidate.From)], RankWeights.For(space));
        return new MemoryFindings(
            [.. ranked.Where(one => one.Score >= query.Threshold).Take(query.TopK).Select(one => new FoundMemory(rows[one.Candidate.Id], one.Score, one.Parts))],
            null,
            null);
    }

    private sealed class Past(IReadOnlyList<IndexPoint> points) : IIndexTruth
    {
        public IAsyncEnumerable<IndexPoint> LoadAsync(Guid ownerId, CancellationToken ct) => points.ToAsyncEnumerable();

        public Task<IReadOnlyList<TruthPoint>> ReadAsync(IReadOnlyList<Guid> ids, CancellationToken ct) => throw new NotSupportedException("The past does not change.");

        public Task<IReadOnlyList<IndexEntry>> PageAsync(Guid? after, int limit, TimeSpan settledFor, CancellationToken ct) => throw new NotSupportedException("The past is not swept.");
    }
}
