using System.Threading.Channels;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Outbox;

/// <summary>Applies the index outbox in batches. An entry goes only when the version that was applied is still the newest one asked for.</summary>
public sealed partial class OutboxWorker(
    Database database, IIndexOutboxHandler handler, IOptions<OutboxOptions> options, TimeProvider time, ILogger<OutboxWorker> logger) : BackgroundService
{
    /// <summary>By their places, not by a join, which reads all of a table for each row where it was planned while the table was empty.</summary>
    internal const string TakeSql =
        """
        update index_outbox o set attempts = o.attempts + 1, not_before = now() + $2
        where o.ctid = any (array(select ctid from index_outbox where not_before <= now() order by not_before limit $1 for update skip locked))
        returning o.entity_id, o.owner_id, o.version, o.op = 'delete', o.attempts
        """;

    /// <summary>
    /// Ids (<c>$1</c>) with the versions (<c>$2</c>) that the index has; by their places for the same reason. The version is compared once more: the entry may
    /// just have been asked for anew.
    /// </summary>
    public const string DoneSql =
        """
        delete from index_outbox o
        where o.ctid = any (array(
                select found.place from unnest($1, $2) as done (id, version)
                cross join lateral (select ctid as place from index_outbox where entity_id = done.id and version = done.version limit 1) found))
            and o.version = (select done.version from unnest($1, $2) as done (id, version) where done.id = o.entity_id limit 1)
        """;

    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Says that entries were committed; costs nothing. Other processes notice by polling.</summary>
    public void Wake() => wake.Writer.TryWrite(true);

    /// <summary>Applies what is due now. Returns how many entries were taken. For tests and for the worker itself.</summary>
    public async Task<int> DrainOnceAsync(CancellationToken ct)
    {
        var entries = await database.AsWorker().CreateBatch().ByIndex().Add(TakeSql, [options.Value.BatchSize, options.Value.Lease]).ReadAsync(ReadAsync, ct);
        if (entries.Count == 0)
        {
            return 0;
        }

        try
        {
            await handler.ApplyAsync(entries, ct);
            await DoneAsync(entries, ct);
        }
#pragma warning disable CA1031 // The worker's edge: whatever the index does, the entries stay until they are applied.
        catch (Exception error) when (!ct.IsCancellationRequested)
#pragma warning restore CA1031
        {
            LogFailed(error, entries.Count, entries.Max(entry => entry.Attempt));
            await PostponeAsync(entries, ct);
            return 0;
        }

        return entries.Count;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!options.Value.Enabled)
        {
            return;
        }

        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                while (await DrainOnceAsync(stoppingToken) > 0)
                {
                }

                await WaitAsync(stoppingToken);
            }
            catch (NpgsqlException error)
            {
                LogDatabase(error);
                await Task.Delay(options.Value.PollInterval, time, CancellationToken.None);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private static async Task<List<OutboxEntry>> ReadAsync(NpgsqlDataReader row, CancellationToken ct)
    {
        var entries = new List<OutboxEntry>();
        while (await row.ReadAsync(ct))
        {
            entries.Add(new OutboxEntry(row.GetGuid(0), row.GetGuid(1), row.GetInt64(2), row.GetBoolean(3), row.GetInt32(4)));
        }

        return entries;
    }

    private async Task WaitAsync(CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(options.Value.PollInterval);
        try
        {
            await wake.Reader.ReadAsync(limit.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            // Nobody woke us: look anyway.
        }
    }

    private Task<int> DoneAsync(List<OutboxEntry> entries, CancellationToken ct) => database.AsWorker().CreateBatch().ByIndex()
        .Add(DoneSql, [entries.Select(entry => entry.EntityId).ToArray(), entries.Select(entry => entry.Version).ToArray()])
        .ExecuteAsync(ct);

    /// <summary>Doubling pauses from 0.25 s, never longer than a lease: the index may be back at any time.</summary>
    private Task<int> PostponeAsync(List<OutboxEntry> entries, CancellationToken ct) => database.AsWorker().ExecuteAsync(
        "update index_outbox set not_before = now() + least($2, interval '0.25 s' * power(2, least(attempts, 10))) where entity_id = any ($1)",
        [entries.Select(entry => entry.EntityId).ToArray(), options.Value.Lease],
        ct);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The index did not take {Count} entries (attempt {Attempt}); they are tried again")]
    private partial void LogFailed(Exception error, int count, int attempt);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The outbox can not reach the database; it tries again")]
    private partial void LogDatabase(Exception error);
}

public static class OutboxRegistration
{
    /// <summary>The worker that keeps an index in step with this service's database. Needs <c>AddPostgres</c>.</summary>
    public static IServiceCollection AddIndexOutbox<THandler>(this IServiceCollection services)
        where THandler : class, IIndexOutboxHandler
    {
        services.AddValidatedOptions<OutboxOptions>(OutboxOptions.Section);
        services.AddSingleton<IIndexOutboxHandler, THandler>();
        services.AddSingleton<OutboxWorker>();
        return services.AddHostedService(provider => provider.GetRequiredService<OutboxWorker>());
    }
}
