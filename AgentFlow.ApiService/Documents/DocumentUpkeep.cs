using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ApiService.Documents;

/// <summary>
/// Puts right what a death in the wrong moment left: documents whose task is over without them, originals that no document claimed,
/// embeddings and tombstones that nobody needs any more. Every statement may run in several processes at once.
/// </summary>
internal sealed partial class DocumentUpkeep(
    Database database, OriginalStore originals, DocumentFollowUp followUp, Reembedding reembedding, IOptions<DocumentOptions> options, TimeProvider time, ILogger<DocumentUpkeep> logger) : BackgroundService
{
    /// <summary>An upload that takes longer has been cut off by its own time limit.</summary>
    private static readonly TimeSpan LooseAfter = TimeSpan.FromHours(24);

    private static readonly TimeSpan PurgeEvery = TimeSpan.FromMinutes(10);

    /// <summary>The task's words where it has some; a document that is cancelled says so.</summary>
    private const string FailStranded = """
        update documents d set status = 'failed', progress = 0, updated_at = now(), failure_reason = case t.status
            when 'cancelled' then 'It was cancelled.'
            when 'dead' then 'It could not be processed: ' || coalesce(t.error, 'its worker died again and again.')
            else coalesce(t.error, 'It could not be processed.') end
        from tasks t
        where t.id = d.task_id and t.status in ('failed', 'dead', 'cancelled') and d.status not in ('ready', 'failed')
        """;

    /// <summary>A task that is gone or says it succeeded, with a document that was never finished: nobody is working on it.</summary>
    private const string FailOrphaned = """
        update documents d set status = 'failed', progress = 0, updated_at = now(), failure_reason = 'Its processing was lost. Try it again.'
        where d.status not in ('ready', 'failed') and d.updated_at < now() - interval '1 minute'
            and not exists (select from tasks t where t.id = d.task_id and t.status in ('queued', 'running'))
        """;

    /// <summary>A tombstone goes when the index has it (its outbox row is gone) and late writes are over.</summary>
    private const string PurgeTombstones = """
        delete from chunks where id in (
            select c.id from chunks c where c.deleted_at < now() - interval '1 hour' and not exists (select from index_outbox o where o.entity_id = c.id) limit $1)
        """;

    /// <summary>A page by its key, so that a round trip takes the same time whatever there is: the last key of the page and how many it has.</summary>
    private const string PurgeEmbeddings = """
        with page as (
            select owner_id, model, content_hash from chunk_embeddings where (owner_id, model, content_hash) > ($1, $2, $3)
            order by owner_id, model, content_hash limit $4),
        unused as (
            delete from chunk_embeddings e using page p
            where e.owner_id = p.owner_id and e.model = p.model and e.content_hash = p.content_hash and not exists (
                select from chunks c where c.owner_id = p.owner_id and c.content_hash = p.content_hash and c.deleted_at is null))
        select owner_id, model, content_hash, (select count(*)::int from page) from page order by owner_id desc, model desc, content_hash desc limit 1
        """;

    private const int PurgeBatch = 2_000;

    /// <summary>For tests and for the loop itself.</summary>
    /// <returns>How many documents were given an end.</returns>
    public async Task<int> SettleAsync(CancellationToken ct) =>
        await database.AsWorker().CreateBatch().Add(FailStranded, []).Add(FailOrphaned, []).ExecuteAsync(ct);

    public async Task PurgeAsync(CancellationToken ct)
    {
        await originals.SweepAsync(LooseAfter, ct);
        followUp.Wake();
        while (await database.AsWorker().ExecuteAsync(PurgeTombstones, [PurgeBatch], ct) == PurgeBatch)
        {
        }

        await PurgeEmbeddingsAsync(ct);
        await reembedding.EnqueueMissingAsync(ct);
    }

    private async Task PurgeEmbeddingsAsync(CancellationToken ct)
    {
        var at = (Owner: Guid.Empty, Model: string.Empty, Hash: Array.Empty<byte>(), Count: PurgeBatch);
        while (at.Count == PurgeBatch)
        {
            at = await database.AsWorker().QuerySingleAsync(
                PurgeEmbeddings, [at.Owner, at.Model, at.Hash, PurgeBatch], row => (row.GetGuid(0), row.GetString(1), (byte[])row[2], row.GetInt32(3)), ct);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.UpkeepInterval, time);
        var purged = time.GetTimestamp();
        try
        {
            await StartReembeddingAsync(stoppingToken);
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                try
                {
                    await SettleAsync(stoppingToken);
                    if (time.GetElapsedTime(purged) >= PurgeEvery)
                    {
                        purged = time.GetTimestamp();
                        await PurgeAsync(stoppingToken);
                    }
                }
                catch (NpgsqlException error)
                {
                    LogDatabase(error);
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping.
        }
    }

    /// <summary>The embedding model may be another one since the last start.</summary>
    private async Task StartReembeddingAsync(CancellationToken ct)
    {
        try
        {
            await reembedding.EnqueueMissingAsync(ct);
        }
        catch (NpgsqlException error)
        {
            LogDatabase(error);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The upkeep of documents can not reach the database; it tries again")]
    private partial void LogDatabase(Exception error);
}
