using System.Text.Json;
using AgentFlow.ApiService.Tasks;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.ApiService.Documents;

/// <summary>Gives live passages that lack an embedding of the configured model one, and tells the index.</summary>
internal sealed class Reembedding(Database database, PassageEmbedder embedder, OutboxWorker outbox, DurableQueue queue)
{
    private const int BatchSize = 64;

    /// <summary>Owners whose tasks are queued in one round trip.</summary>
    private const int OwnersAtOnce = 200;

    private const string Missing = """
        select c.id, c.heading_path, c.text, c.content_hash from chunks c
        join documents d on d.id = c.document_id and d.live_version = c.document_version
        where c.owner_id = $1 and c.deleted_at is null
            and not exists (select from chunk_embeddings e where e.owner_id = c.owner_id and e.model = $2 and e.content_hash = c.content_hash)
        limit $3
        """;

    private const string OwnersMissing = """
        select distinct c.owner_id from chunks c
        join documents d on d.id = c.document_id and d.live_version = c.document_version
        where c.deleted_at is null
            and not exists (select from chunk_embeddings e where e.owner_id = c.owner_id and e.model = $1 and e.content_hash = c.content_hash)
        """;

    private const string Insert = """
        insert into chunk_embeddings (owner_id, model, content_hash, vector)
        select $1, $2, hash, vector from unnest($3, $4) as computed (hash, vector)
        on conflict do nothing
        """;

    private const string Touch = """
        with touched as (
            update chunks set index_version = index_version + 1, changed_at = now() where owner_id = $1 and content_hash = any ($2) and deleted_at is null
            returning id, owner_id, index_version)
        insert into index_outbox (entity_id, owner_id, version, op) select id, owner_id, index_version, 'upsert' from touched
        on conflict (entity_id) do update set version = excluded.version, op = excluded.op, attempts = 0, not_before = now()
        """;

    /// <summary>
    /// Gives every owner who has passages without a vector of the configured model a task: after the model was changed, or where a process with
    /// another one still ingests. One task for each owner and model at a time, however many processes ask.
    /// </summary>
    public async Task EnqueueMissingAsync(CancellationToken ct)
    {
        var owners = await database.AsWorker().QueryAsync(OwnersMissing, [embedder.Space.Model], row => row.GetGuid(0), ct);
        foreach (var some in owners.Chunk(OwnersAtOnce))
        {
            var batch = database.AsWorker().CreateBatch();
            foreach (var owner in some)
                queue.Enqueue(batch, new QueuedTask(owner, TaskKinds.Reembed, JsonElement.Parse("{}")) { DedupKey = embedder.Space.Model });
            await batch.ExecuteAsync(ct);
        }
    }

    /// <returns>How many passages were embedded; 0 when none lacks an embedding.</returns>
    public async Task<int> NextAsync(Guid ownerId, CancellationToken ct)
    {
        var model = embedder.Space.Model;
        var rows = await database.ForOwner(ownerId).QueryAsync(
            Missing, [ownerId, model, BatchSize], row => (Text: ChunkText.ForIndex((string[])row[1], row.GetString(2)), Hash: (byte[])row[3]), ct);
        if (rows.Count == 0)
            return 0;
        var distinct = rows.DistinctBy(row => Convert.ToHexString(row.Hash)).ToList();
        var vectors = await embedder.EmbedAsync([.. distinct.Select(row => row.Text)], ct);
        var hashes = distinct.Select(row => row.Hash).ToArray();
        var batch = database.ForOwner(ownerId).CreateBatch();
        batch.Add(Insert, [ownerId, model, hashes, vectors.Select(PassageEmbedder.ToBytes).ToArray()]);
        batch.Add(Touch, [ownerId, hashes]);
        await batch.ExecuteAsync(ct);
        outbox.Wake();
        return rows.Count;
    }
}
