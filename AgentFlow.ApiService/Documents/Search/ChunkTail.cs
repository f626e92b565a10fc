using System.Diagnostics.Metrics;
using System.Numerics.Tensors;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Retrieval.Ranking;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Documents;

/// <summary>
/// Live passages that the index does not have yet, scored from their rows one by one, so that what was acknowledged is found at once.
/// Usually empty.
/// </summary>
internal sealed class ChunkTail(Database database, EmbeddingSpace space)
{
    /// <summary>Whether any live passage of the owner (<c>$1</c>) waits for the index.</summary>
    public const string IsBehind = "select exists (select from index_outbox where owner_id = $1 and op = 'upsert')";

    /// <summary>Beyond this many the rest waits for the index, and the answer says so.</summary>
    private const int Limit = 2_000;

    private const string Missing = "Some passages of a document that came just now are still being indexed and may be missing.";
    private const string Changed = "Some passages were named, filed or embedded anew just now; they are found, but filters and order may still go by how they were before.";

    /// <summary>What was changed since it was published has a higher version, and the index has it as it was.</summary>
    private const string HasNew = "select exists (select from index_outbox where owner_id = $1 and op = 'upsert' and version = 1)";

    private const string ReadTail = """
        select c.id, c.document_id, d.name, c.page, c.start_offset, c.end_offset, c.text, c.heading_path, c.index_version, e.vector,
            d.format, d.tags, d.metadata::text, d.created_at,
            (select array_agg(m.collection_id) from collection_documents m where m.document_id = d.id), d.title, c.document_version
        from index_outbox o
        join chunks c on c.id = o.entity_id and c.deleted_at is null
        join documents d on d.id = c.document_id and d.live_version = c.document_version
        left join chunk_embeddings e on e.owner_id = c.owner_id and e.model = $2 and e.content_hash = c.content_hash
        where o.owner_id = $1 and o.op = 'upsert'
        limit $3
        """;

    /// <summary>The hits with the tail's passages among them; one more round trip.</summary>
    /// <param name="versions">Of which version each document was read; passages of a version that came after that are left out.</param>
    public async Task<List<DocumentHit>> MergeAsync(
        OwnerId owner, PassageQuery query, ReadOnlyMemory<float>? vector, List<DocumentHit> hits, IReadOnlyDictionary<Guid, int> versions, List<string> degraded, CancellationToken ct)
    {
        var terms = TailWords.Of(query.Text);
        var rows = await database.ForOwner(owner.Value).CreateBatch().ByIndex().Add(ReadTail, [owner.Value, space.Model, Limit]).ReadAllAsync(row => ReadRow(row, query.Filter, vector, terms, versions), ct);
        if (rows.Count == Limit)
            degraded.Add(await IsNewMissingAsync(owner, ct) ? Missing : Changed);
        var known = hits.Select(hit => hit.ChunkId).ToHashSet();
        return [.. hits, .. rows.OfType<DocumentHit>().Where(hit => !known.Contains(hit.ChunkId))];
    }

    private async Task<bool> IsNewMissingAsync(OwnerId owner, CancellationToken ct) =>
        await database.ForOwner(owner.Value).CreateBatch().ByIndex().Add(HasNew, [owner.Value]).ReadAsync(async (row, token) => await row.ReadAsync(token) && row.GetBoolean(0), ct);

    private DocumentHit? ReadRow(NpgsqlDataReader row, FilterExpression? filter, ReadOnlyMemory<float>? vector, IReadOnlySet<uint> terms, IReadOnlyDictionary<Guid, int> versions)
    {
        if (versions.TryGetValue(row.GetGuid(1), out var read) && read != row.GetInt32(16))
            return null;
        if (filter is not null && !filter.Matches(Fields(row)))
            return null;
        var words = ChunkText.ForWords(ChunkText.Label(row.GetString(2), row.NullableString(15)), (string[])row[7], row.GetString(6));
        var dense = vector is null || row.IsDBNull(9) ? 0 : TensorPrimitives.Dot(row.NullableFloats(9).Span, vector.Value.Span);
        var ranked = RankFusion.Rank([new RankCandidate { Id = row.GetGuid(0), Dense = dense, Bm25 = TailWords.Score(terms, words) }], RankWeights.For(space))[0];
        return ranked.Score <= 0 ? null : HitRows.Read(row, ranked.Score, ranked.Parts.ToDictionary());
    }

    private static Dictionary<string, JsonElement> Fields(NpgsqlDataReader row) =>
        DocumentFields.Of(
            row.GetGuid(1), row.GetInt32(16), row.GetString(2), row.GetString(10), (string[])row[11], row.GetString(12), row.GetDateTime(13), row.IsDBNull(14) ? [] : (Guid[])row[14]);
}

/// <summary>From columns 0 to 7: chunk, document, name, page, start, end, text, heading path.</summary>
internal static class HitRows
{
    public static DocumentHit Read(NpgsqlDataReader row, double score, IReadOnlyDictionary<string, double> parts) => new()
    {
        ChunkId = new ChunkId(row.GetGuid(0)),
        DocumentId = new DocumentId(row.GetGuid(1)),
        DocumentName = row.GetString(2),
        Page = row.NullableInt32(3),
        Start = row.GetInt32(4),
        End = row.GetInt32(5),
        Text = row.GetString(6),
        HeadingPath = (string[])row[7],
        Score = score,
        Scores = parts,
    };
}

internal static class SearchTelemetry
{
    private static readonly Meter Meter = new("AgentFlow.Documents");

    /// <summary>Candidates whose row was not live any more; a high rate says that the index is far behind.</summary>
    public static readonly Counter<long> StaleHits = Meter.CreateCounter<long>("agentflow.documents.stale_hits", "{hit}", "Index hits dropped by the join with the rows");
}
