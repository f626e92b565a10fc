using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Ranking;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Documents;

/// <param name="Text">What is asked, 1 to 50,000 characters.</param>
/// <param name="TopK">Passages at most, 1 to 100.</param>
/// <param name="Filter">Over <see cref="DocumentFields"/>; null is everything of the owner.</param>
/// <param name="Explain">Also say what each signal added to the score.</param>
internal sealed record PassageQuery(string Text, int TopK = 10, FilterExpression? Filter = null, bool Explain = false)
{
    /// <summary>Only passages of documents in one of these; null is no limit.</summary>
    public IReadOnlyList<CollectionId>? Collections { get; init; }

    /// <summary>Order by <see cref="RerankPassages"/>, where the host has registered one.</summary>
    public bool Rerank { get; init; }
}

/// <summary>
/// A second opinion on the best passages, for searches that ask for it; the host registers one, there is none built in. One score for each
/// passage and in their order, 0 to 1.
/// </summary>
/// <exception cref="HttpRequestException">It is not there; so for <see cref="IOException"/> and <see cref="TimeoutException"/>. The first order then stays.</exception>
internal delegate Task<IReadOnlyList<double>> RerankPassages(string query, IReadOnlyList<DocumentHit> passages, CancellationToken ct);

/// <summary>
/// Finds passages of an owner's documents: candidates by meaning and by words from the index, one fusion, then a join with Postgres,
/// which alone says what is live and gives the text. One round trip, and one for each account that shares collections with the owner.
/// </summary>
internal sealed class DocumentSearch(Database database, VectorIndex index, PassageEmbedder embedder, ChunkTail tail, IndexFollower follower, RerankPassages? rerank = null)
{
    /// <summary>Candidates that each of the two ways contributes; enough that the join may drop some.</summary>
    private const int MinCandidates = 50;

    /// <summary>A query's words beyond this add nothing that ranking could use, only time.</summary>
    private const int MaxQueryCharacters = 4_000;

    /// <summary>What a reranker is given for each passage that is asked for.</summary>
    private const int RerankFactor = 3;

    /// <summary>
    /// A search reads again when a document changed its version in between; more often than this nobody replaces documents in the time of a search.
    /// </summary>
    private const int MaxReads = 6;

    /// <summary>
    /// The candidates' rows, each with whether it is live: all in one statement, so that no document is seen in two versions. With collections, the
    /// passages of those only, whatever the index says. One look by key for each row, whatever is known of the tables when this is planned: a range of
    /// one key in the key's order is what no other index gives, where an equation could as well be met by all that an owner has.
    /// </summary>
    internal const string ReadHits = """
        select c.id, c.document_id, d.name, c.page, c.start_offset, c.end_offset, c.text, c.heading_path, c.index_version,
            c.deleted_at is null and d.live_version is not distinct from c.document_version, c.document_version, d.live_version
        from unnest($1) as wanted (id)
        cross join lateral (
            select * from chunks where id >= wanted.id and id <= wanted.id and owner_id = $2 order by id limit 1) c
        left join lateral (
            select id, name, live_version from documents where id >= c.document_id and id <= c.document_id order by id limit 1) d on true
        where ($3::uuid[] is null or d.id is null or exists (select from collection_documents m where m.document_id = d.id and m.collection_id = any ($3)))
        """;

    public async Task<DocumentSearchResponse> SearchAsync(OwnerId owner, PassageQuery query, CancellationToken ct)
    {
        var asked = Prepared(query) with { Filter = Within(query.Collections, query.Filter) };
        var degraded = new List<string>();
        var vector = await EmbedAsync(asked.Text, degraded, ct);
        var shared = new List<SharedCollections>();
        var found = await SettledAsync(
            owner,
            asked,
            async wanted =>
            {
                (var rows, shared) = await ReadOwnAsync(owner, await RankAsync(owner, wanted, vector, degraded, ct), wanted, ct);
                return rows;
            },
            ct);
        var hits = found.IsBehind ? await tail.MergeAsync(owner, asked, vector, found.Hits, found.Versions, degraded, ct) : found.Hits;
        foreach (var grant in shared)
            hits.AddRange(await ReadSharedAsync(grant, asked, vector, degraded, ct));
        return await BestAsync(asked, query, hits, degraded, ct);
    }

    /// <summary>Passages of these collections alone, whoever they belong to; the caller has seen that they may be read.</summary>
    public async Task<DocumentSearchResponse> SearchSharedAsync(IReadOnlyList<SharedCollections> grants, PassageQuery query, CancellationToken ct)
    {
        if (grants.Count == 0)
            return new DocumentSearchResponse([], null);
        var asked = Prepared(query);
        var (hits, degraded) = (new List<DocumentHit>(), new List<string>());
        var vector = await EmbedAsync(asked.Text, degraded, ct);
        foreach (var grant in grants)
            hits.AddRange(await ReadSharedAsync(grant, asked, vector, degraded, ct));
        return await BestAsync(asked, query, hits, degraded, ct);
    }

    /// <summary>As it is asked of the index: deeper, where a reranker looks at the hits.</summary>
    private PassageQuery Prepared(PassageQuery query) => query with
    {
        Text = query.Text.Length > MaxQueryCharacters ? query.Text[..MaxQueryCharacters] : query.Text,
        TopK = query.Rerank && rerank is not null ? query.TopK * RerankFactor : query.TopK,
    };

    private async Task<ReadOnlyMemory<float>?> EmbedAsync(string text, List<string> degraded, CancellationToken ct)
    {
        var vector = await embedder.TryEmbedQueryAsync(text, ct);
        if (vector is null)
            degraded.Add(PassageEmbedder.Unavailable);
        return vector;
    }

    private async Task<DocumentSearchResponse> BestAsync(PassageQuery asked, PassageQuery query, List<DocumentHit> hits, List<string> degraded, CancellationToken ct)
    {
        var best = hits.OrderByDescending(hit => hit.Score).ThenBy(hit => hit.ChunkId.Value).Take(asked.TopK).ToList();
        if (query.Rerank && rerank is not null && best.Count > 0)
            best = await RerankAsync(rerank, asked.Text, best, degraded, ct);
        var items = best.Take(query.TopK).Select(hit => query.Explain ? hit : hit with { Scores = null }).ToList();
        return new DocumentSearchResponse(items, degraded.Count > 0 ? [.. degraded.Distinct(StringComparer.Ordinal)] : null);
    }

    private static async Task<List<DocumentHit>> RerankAsync(
        RerankPassages rerank, string query, List<DocumentHit> hits, List<string> degraded, CancellationToken ct)
    {
        try
        {
            var scores = await rerank(query, hits, ct);
            if (scores.Count != hits.Count || scores.Any(score => !double.IsFinite(score)))
                throw new IOException($"The reranker answered {scores.Count} scores for {hits.Count} passages, or one that is no number.");
            return [.. hits.Select((hit, i) => hit with { Score = Math.Clamp(scores[i], 0, 1), Scores = With(hit.Scores, scores[i]) })
                .OrderByDescending(hit => hit.Score).ThenBy(hit => hit.ChunkId.Value)];
        }
        catch (Exception error) when (error is HttpRequestException or IOException or TimeoutException)
        {
            degraded.Add("reranker");
            return hits;
        }
    }

    private static Dictionary<string, double> With(IReadOnlyDictionary<string, double>? parts, double score) =>
        new(parts ?? new Dictionary<string, double>(), StringComparer.Ordinal) { ["rerank"] = score };

    private static FilterExpression? Within(IReadOnlyList<CollectionId>? collections, FilterExpression? filter) => collections is null
        ? filter
        : FilterExpression.AllOf(new FilterExpression.AnyOf(new FilterField(DocumentFields.Collection, []), [.. collections.Select(id => new FilterValue(id.ToString()))]), filter);

    /// <summary>
    /// Reads until the candidates are of what is live. The index holds more than that: a version that takes the place of another one soon, one that was
    /// replaced, and documents that were deleted, until it has forgotten them. Where they took the places of others, their documents are asked for anew
    /// in the version that is live. And the index in this process's memory may not have heard yet of all that another process wrote.
    /// </summary>
    private async Task<Found> SettledAsync(OwnerId owner, PassageQuery asked, Func<PassageQuery, Task<Found>> read, CancellationToken ct)
    {
        var live = new Dictionary<Guid, int?>();
        for (var reads = 1; ; reads++)
        {
            var found = await read(asked with { Filter = FilterExpression.AllOf(asked.Filter, InVersions(live)) });
            if (reads == MaxReads)
                return found;
            var isNews = await follower.CatchUpAsync(owner.Value, found.Versions, ct);
            foreach (var (document, version) in found.Stale)
            {
                isNews |= found.Hits.Count < asked.TopK && !(live.TryGetValue(document, out var known) && known == version);
                live[document] = version;
            }

            if (!isNews)
                return found;
        }
    }

    /// <summary>Of these documents the passages of these versions only; none of those that are gone (null).</summary>
    private static FilterExpression? InVersions(Dictionary<Guid, int?> live)
    {
        if (live.Count == 0)
            return null;
        var others = new FilterExpression.Not(new FilterExpression.AnyOf(new FilterField(DocumentFields.Document, []), [.. live.Keys.Select(id => new FilterValue(id.ToString()))]));
        var editions = live.Where(each => each.Value is not null).Select(each => new FilterValue(DocumentFields.EditionOf(each.Key, each.Value!.Value))).ToList();
        return editions.Count == 0 ? others : new FilterExpression.Or([others, new FilterExpression.AnyOf(new FilterField(DocumentFields.Edition, []), editions)]);
    }

    private async Task<IReadOnlyList<Ranked>> RankAsync(OwnerId owner, PassageQuery query, ReadOnlyMemory<float>? vector, List<string> degraded, CancellationToken ct)
    {
        var answer = await index.For(owner.Value).SearchAsync(
            new IndexQuery { Vector = vector, Text = query.Text, Filter = query.Filter, Limit = Math.Max(MinCandidates, query.TopK * 4) }, ct);
        if (answer.Degraded is { } reason)
            degraded.Add(reason);
        return RankFusion.Rank([.. answer.Hits.Select(RankCandidate.From)], RankWeights.For(embedder.Space));
    }

    /// <summary>The best hits that are still live, whether the owner's index is behind the rows, and what others share with the owner.</summary>
    private Task<(Found Rows, List<SharedCollections> Shared)> ReadOwnAsync(OwnerId owner, IReadOnlyList<Ranked> ranked, PassageQuery query, CancellationToken ct)
    {
        var wanted = ranked.Take(query.TopK * 2).ToDictionary(each => each.Candidate.Id);
        var batch = database.ForOwner(owner.Value).CreateBatch().ByKey();
        batch.Add(ChunkTail.IsBehind, [owner.Value]);
        batch.Add(DocumentAccess.SelectShared, [owner.Value]);
        AddHits(batch, wanted, owner, query.Collections);
        return batch.ReadAsync(
            async (reader, token) =>
            {
                var isBehind = await reader.ReadAsync(token) && reader.GetBoolean(0);
                await reader.NextResultAsync(token);
                var shared = new List<SharedCollections>();
                while (await reader.ReadAsync(token))
                    shared.Add(new SharedCollections(new OwnerId(reader.GetGuid(0)), [.. ((Guid[])reader[1]).Select(id => new CollectionId(id))]));
                return (await ReadHitsAsync(reader, wanted, isBehind, token), shared);
            },
            ct);
    }

    private async Task<List<DocumentHit>> ReadSharedAsync(
        SharedCollections grant, PassageQuery query, ReadOnlyMemory<float>? vector, List<string> degraded, CancellationToken ct)
    {
        var collections = query.Collections is null ? grant.Collections : [.. grant.Collections.Intersect(query.Collections)];
        if (collections.Count == 0)
            return [];
        var within = query with { Filter = Within(collections, query.Filter) };
        var found = await SettledAsync(
            grant.Owner, within, async wanted => await ReadGrantedAsync(grant.Owner, collections, await RankAsync(grant.Owner, wanted, vector, degraded, ct), wanted, ct), ct);
        return found.IsBehind ? await tail.MergeAsync(grant.Owner, within, vector, found.Hits, found.Versions, degraded, ct) : found.Hits;
    }

    private Task<Found> ReadGrantedAsync(OwnerId owner, IReadOnlyList<CollectionId> collections, IReadOnlyList<Ranked> ranked, PassageQuery query, CancellationToken ct)
    {
        var wanted = ranked.Take(query.TopK * 2).ToDictionary(each => each.Candidate.Id);
        var batch = database.ForOwner(owner.Value).CreateBatch().ByKey();
        batch.Add(ChunkTail.IsBehind, [owner.Value]);
        AddHits(batch, wanted, owner, collections);
        return batch.ReadAsync(
            async (reader, token) => await ReadHitsAsync(reader, wanted, isBehind: await reader.ReadAsync(token) && reader.GetBoolean(0), token),
            ct);
    }

    /// <summary>Nothing is asked where the index found nothing: Postgres would plan that anew each time, since no plan for any number of ids is as cheap as that for none.</summary>
    private static void AddHits(DbBatch batch, Dictionary<Guid, Ranked> wanted, OwnerId owner, IReadOnlyList<CollectionId>? collections)
    {
        if (wanted.Count > 0)
            batch.Add(ReadHits, [wanted.Keys.ToArray(), owner.Value, collections?.Select(id => id.Value).ToArray()]);
    }

    /// <summary>What <see cref="AddHits"/> asked for, as the next result.</summary>
    private static async Task<Found> ReadHitsAsync(NpgsqlDataReader reader, Dictionary<Guid, Ranked> wanted, bool isBehind, CancellationToken ct)
    {
        var found = new Found(isBehind);
        if (wanted.Count == 0)
            return found;
        await reader.NextResultAsync(ct);
        while (await reader.ReadAsync(ct))
        {
            var (document, live) = (reader.GetGuid(1), reader.NullableInt32(11));
            if (live is { } version)
                found.Versions[document] = version;
            if (!reader.GetBoolean(9))
            {
                found.Stale[document] = live;
                continue;
            }

            var candidate = wanted[reader.GetGuid(0)];
            found.Hits.Add(HitRows.Read(reader, candidate.Score, candidate.Parts.ToDictionary()));
        }

        if (found.Hits.Count < wanted.Count)
            SearchTelemetry.StaleHits.Add(wanted.Count - found.Hits.Count);
        return found;
    }

    /// <summary>What one statement read of an owner's candidates.</summary>
    /// <param name="IsBehind">Whether live passages of the owner wait for the index.</param>
    private sealed record Found(bool IsBehind)
    {
        public List<DocumentHit> Hits { get; } = [];

        /// <summary>The live version of each document that has a candidate and is there.</summary>
        public Dictionary<Guid, int> Versions { get; } = [];

        /// <summary>The live version of documents with candidates that are not; null: the document is gone.</summary>
        public Dictionary<Guid, int?> Stale { get; } = [];
    }
}
