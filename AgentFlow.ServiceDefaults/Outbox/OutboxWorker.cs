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
    private const string TakeSql =
        """
        update index_outbox o set attempts = o.attempts + 1, not_before = now() + $2
        from (select entity_id from index_outbox where not_before <= now() order by not_before limit $1 for update skip locked) due
        where o.entity_id = due.entity_id
        returning o.entity_id, o.owner_id, o.version, o.op = 'delete', o.attempts
        """;

    private readonly Channel<bool> wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    /// <summary>Says that entries were committed; costs nothing. Other processes notice by polling.</summary>
    public void Wake() => wake.Writer.TryWrite(true);

    /// <summary>Applies what is due now. Returns how many entries were taken. For tests and for the worker itself.</summary>
    public async Task<int> DrainOnceAsync(CancellationToken ct)
    {
        var entries = await database.AsWorker().QueryAsync(
            TakeSql,
            [options.Value.BatchSize, options.Value.Lease],
            row => new OutboxEntry(row.GetGuid(0), row.GetGuid(1), row.GetInt64(2), row.GetBoolean(3), row.GetInt32(4)),
            ct);
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

    private Task<int> DoneAsync(List<OutboxEntry> entries, CancellationToken ct) => database.AsWorker().ExecuteAsync(
        "delete from index_outbox o using unnest($1, $2) as done (id, version) where o.entity_id = done.id and o.version = done.version",
        [entries.Select(entry => entry.EntityId).ToArray(), entries.Select(entry => entry.Version).ToArray()],
        ct);

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
