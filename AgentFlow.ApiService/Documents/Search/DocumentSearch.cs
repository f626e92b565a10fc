using System.Diagnostics;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Ranking;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Documents;

/// <param name="Text">What is asked, 1 to 50,000 characters.</param>
/// <param name="TopK">Passages at most, 1 to 100.</param>
/// <param name="Filter">Over <see cref="DocumentFields"/>; null is everything of the owner.</param>
/// <param name="Explain">Also say what each signal added to the score.</param>
internal sealed record PassageQuery(string Text, int TopK = 10, FilterExpression? Filter = null, bool Explain = false);

/// <summary>
/// Finds passages of an owner's documents: candidates by meaning and by words from the index, one fusion, then a join with Postgres,
/// which alone says what is live and gives the text. One round trip; safe to call concurrently.
/// </summary>
internal sealed class DocumentSearch(Database database, VectorIndex index, PassageEmbedder embedder, ChunkTail tail)
{
    /// <summary>Candidates that each of the two ways contributes; enough that the join may drop some.</summary>
    private const int MinCandidates = 50;

    /// <summary>A query's words beyond this add nothing that ranking could use, only time.</summary>
    private const int MaxQueryCharacters = 4_000;

    private const string ReadHits = """
        select c.id, c.document_id, d.name, c.page, c.start_offset, c.end_offset, c.text, c.heading_path, c.index_version
        from chunks c
        join documents d on d.id = c.document_id and d.live_version = c.document_version
        where c.id = any ($1) and c.owner_id = $2 and c.deleted_at is null
        """;

    public async Task<DocumentSearchResponse> SearchAsync(OwnerId owner, PassageQuery query, CancellationToken ct)
    {
        var text = query.Text.Length > MaxQueryCharacters ? query.Text[..MaxQueryCharacters] : query.Text;
        var vector = await embedder.EmbedAsync(text, ct);
        var answer = await index.For(owner.Value).SearchAsync(
            new IndexQuery { Vector = vector, Text = text, Filter = query.Filter, Limit = Math.Max(MinCandidates, query.TopK * 4) }, ct);
        var ranked = RankFusion.Rank([.. answer.Hits.Select(RankCandidate.From)], RankWeights.For(embedder.Space));
        var (hits, behind) = await ReadAsync(owner, ranked, query.TopK, ct);
        List<string> degraded = answer.Degraded is { } reason ? [reason] : [];
        if (behind)
            hits = await tail.MergeAsync(owner, query with { Text = text }, vector, hits, degraded, ct);
        var items = hits.OrderByDescending(hit => hit.Score).ThenBy(hit => hit.ChunkId.Value).Take(query.TopK)
            .Select(hit => query.Explain ? hit : hit with { Scores = null }).ToList();
        return new DocumentSearchResponse(items, degraded.Count > 0 ? degraded : null);
    }

    /// <summary>The best hits that are still live, and whether the owner's index is behind the rows.</summary>
    private Task<(List<DocumentHit> Hits, bool IsBehind)> ReadAsync(OwnerId owner, IReadOnlyList<Ranked> ranked, int topK, CancellationToken ct)
    {
        var wanted = ranked.Take(topK * 2).ToDictionary(each => each.Candidate.Id);
        var batch = database.ForOwner(owner.Value).CreateBatch();
        batch.Add(ReadHits, [wanted.Keys.ToArray(), owner.Value]);
        batch.Add(ChunkTail.IsBehind, [owner.Value]);
        return batch.ReadAsync(
            async (reader, token) =>
            {
                var hits = new List<DocumentHit>(wanted.Count);
                while (await reader.ReadAsync(token))
                {
                    var found = wanted[reader.GetGuid(0)];
                    hits.Add(HitRows.Read(reader, found.Score, found.Parts.ToDictionary()));
                }

                if (hits.Count < wanted.Count)
                    SearchTelemetry.StaleHits.Add(wanted.Count - hits.Count);
                await reader.NextResultAsync(token);
                return (hits, await reader.ReadAsync(token) && reader.GetBoolean(0));
            },
            ct);
    }
}
