using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Outbox;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.MemoryService.Index;

/// <summary>
/// Gives memories that lack a vector of the configured embedding model one: all of them after the model was changed, those that were stored
/// while the embedder was down, or by a process that still has another model, otherwise. They are served meanwhile, found by their words; each gets a new version, so that no index keeps it
/// without its vector. Vectors of other models stay until the text changes, so going back costs nothing.
/// </summary>
internal sealed partial class MemoryReembedding(
    Database database, MemoryEmbedding embedding, MemoryTruth truth, OutboxWorker outbox, TimeProvider time, ILogger<MemoryReembedding> logger) : BackgroundService
{
    private const int Batch = 64;

    /// <summary>How soon it is tried again after the embedder failed, and how often it is looked whether another process left something.</summary>
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Look = TimeSpan.FromMinutes(30);

    private const string MissingSql =
        """
        select m.id, m.version, m.text from memories m
        where m.id > $2 and m.status in (0, 1) and not exists (select from memory_embeddings e where e.memory_id = m.id and e.model = $1)
        order by m.id limit $3
        """;

    private const string FillSql =
        """
        with computed as (
            select * from unnest($2, $3, $4) as c (id, version, vector)
        ), unchanged as (
            select m.id, m.owner_id, m.status, c.vector from memories m join computed c on c.id = m.id
            where m.version = c.version and m.status in (0, 1) for update of m
        ), filled as (
            insert into memory_embeddings (memory_id, model, owner_id, vector) select id, $1, owner_id, vector from unchanged
            on conflict do nothing returning memory_id
        ), raised as (
            update memories m set version = m.version + 1, changed_xid = pg_current_xact_id()
            from filled join unchanged on unchanged.id = filled.memory_id and unchanged.status = 0 where m.id = filled.memory_id
            returning m.id, m.owner_id, m.version
        )
        insert into index_outbox (entity_id, owner_id, version, op) select id, owner_id, version, 'upsert' from raised
        on conflict (entity_id) do update set version = excluded.version, op = excluded.op, attempts = 0, not_before = now()
        """;

    /// <returns>How many got a vector; null when the embedder did not answer.</returns>
    internal async Task<int?> RunOnceAsync(CancellationToken ct)
    {
        var done = 0;
        var after = Guid.Empty;
        while (true)
        {
            var missing = await database.AsWorker().QueryAsync(
                MissingSql, [embedding.Model, after, Batch], reader => (Id: reader.GetGuid(0), Version: reader.GetInt32(1), Text: reader.GetString(2)), ct);
            if (missing.Count == 0)
                return done;
            if (await embedding.TryEmbedAsync([.. missing.Select(one => one.Text)], ct) is not { } vectors)
                return null;
            await database.AsWorker().ExecuteAsync(
                FillSql,
                [embedding.Model, missing.Select(one => one.Id).ToArray(), missing.Select(one => one.Version).ToArray(), vectors.Select(vector => VectorBytes.From(vector)).ToArray()],
                ct);
            outbox.Wake();
            done += missing.Count;
            after = missing[^1].Id;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            var pause = await TryAsync(stoppingToken) ? Look : Retry;
            var looked = time.GetTimestamp();
            do
                await Task.Delay(Retry, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            while (!stoppingToken.IsCancellationRequested && !embedding.HasFailed && !truth.LacksVectors && time.GetElapsedTime(looked) < pause);
        }
    }

    private async Task<bool> TryAsync(CancellationToken ct)
    {
        try
        {
            embedding.HasFailed = false;
            truth.LacksVectors = false;
            if (await RunOnceAsync(ct) is not { } count)
                return false;
            if (count > 0)
                LogFilled(count, embedding.Model);
            return true;
        }
        catch (Exception error) when (error is NpgsqlException or OperationCanceledException)
        {
            if (!ct.IsCancellationRequested)
                LogDatabase(error);
            return false;
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Count} memories got vectors of {Model}")]
    private partial void LogFilled(int count, string model);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Memories without vectors could not be read; it is tried again")]
    private partial void LogDatabase(Exception error);
}
