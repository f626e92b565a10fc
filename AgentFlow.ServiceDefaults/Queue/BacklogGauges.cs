using System.Diagnostics.Metrics;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Queue;

/// <summary>
/// What waits, as metrics: tasks that are due and how long the oldest has been, entries of the index outbox and how old the oldest is.
/// The database is asked only while somebody collects metrics; every replica reports the same, since they share the database.
/// </summary>
internal sealed partial class BacklogGauges : BackgroundService
{
    /// <summary>Deferred tasks do not count before their time; a task that runs has been found.</summary>
    private const string Sql =
        """
        select (select count(*) from tasks where status = 'queued' and run_at <= now()),
            coalesce((select extract(epoch from now() - min(run_at)) from tasks where status = 'queued' and run_at <= now()), 0)::double precision,
            (select count(*) from tasks where status = 'running'),
            (select count(*) from index_outbox),
            coalesce((select extract(epoch from now() - min(queued_at)) from index_outbox), 0)::double precision
        """;

    private readonly Meter _meter = new("AgentFlow.Queue");
    private readonly Database _database;
    private readonly IOptions<QueueOptions> _options;
    private readonly TimeProvider _time;
    private readonly ILogger<BacklogGauges> _logger;
    private readonly ObservableGauge<long> _depth;
    private Backlog _last = new(0, 0, 0, 0, 0);

    public BacklogGauges(Database database, IOptions<QueueOptions> options, TimeProvider time, ILogger<BacklogGauges> logger)
    {
        (_database, _options, _time, _logger) = (database, options, time, logger);
        _depth = _meter.CreateObservableGauge("agentflow.queue.depth", () => _last.Due, "{task}", "Tasks that are due and wait for a worker.");
        _meter.CreateObservableGauge("agentflow.queue.age", () => _last.Age, "s", "How long the oldest of them has waited.");
        _meter.CreateObservableGauge("agentflow.queue.running", () => _last.Running, "{task}", "Tasks in the hands of a worker.");
        _meter.CreateObservableGauge("agentflow.outbox.depth", () => _last.Entries, "{entry}", "Changes that the index does not have yet.");
        _meter.CreateObservableGauge("agentflow.outbox.lag", () => _last.Lag, "s", "How old the oldest of them is.");
    }

    private sealed record Backlog(long Due, double Age, long Running, long Entries, double Lag);

    public override void Dispose()
    {
        _meter.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(_options.Value.MeasureInterval, _time);
        try
        {
            do
            {
                if (_depth.Enabled)
                    await MeasureAsync(stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping.
        }
    }

    private async Task MeasureAsync(CancellationToken ct)
    {
        try
        {
            _last = await _database.AsWorker().QuerySingleAsync(
                Sql, [], row => new Backlog(row.GetInt64(0), row.GetDouble(1), row.GetInt64(2), row.GetInt64(3), row.GetDouble(4)), ct) ?? _last;
        }
        catch (NpgsqlException error)
        {
            LogDatabase(error);
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The backlog could not be measured")]
    private partial void LogDatabase(Exception error);
}
