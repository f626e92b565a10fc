using System.ComponentModel.DataAnnotations;
using System.Diagnostics.Metrics;
using AgentFlow.Retrieval.Index.Qdrant;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Retrieval.Index.Upkeep;

/// <summary>Sections <c>Documents:Upkeep</c> (API) and <c>Memory:Upkeep</c>: how the index is kept in step with the database.</summary>
public sealed class IndexUpkeepOptions
{
    /// <summary>Between two comparisons of the index with its truth. 1 s to 1 day, 1 min. A sweep of 100,000 points takes about 2 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "1.00:00:00")]
    public TimeSpan SweepInterval { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>A row that changed within this span is left to the outbox. 1 s to 1 h, 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "01:00:00")]
    public TimeSpan SettledFor { get; set; } = TimeSpan.FromSeconds(30);
}

/// <summary>
/// Keeps an index in step with its truth beside the outbox: builds it when the server holds none for the embedding space (the first start, a
/// new model, a server that lost its data), and sweeps it from time to time. Failures are logged and tried again.
/// </summary>
public sealed partial class IndexUpkeep(VectorIndex index, IIndexTruth truth, IndexUpkeepOptions options, TimeProvider time, ILogger<IndexUpkeep> logger)
    : BackgroundService
{
    private static readonly Meter Meter = new("AgentFlow.Index");

    private static readonly Gauge<int> Divergence = Meter.CreateGauge<int>("agentflow.index.divergence", "{point}", "Points that the last comparison with the database found missing, stale or orphaned, and repaired.");

    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(500);

    private readonly Sweep _sweep = new(truth, SweepTarget.Of(index.Primary), options.SettledFor);

    /// <summary>One comparison now; not beside another.</summary>
    public async Task<SweepReport> SweepAsync(CancellationToken ct)
    {
        var report = await _sweep.RunAsync(ct);
        Divergence.Record(report.Repaired, new KeyValuePair<string, object?>("agentflow.index", index.Name));
        return report;
    }

    /// <summary>Builds the index anew from the truth while the old one serves. With the in-process index there is nothing to do.</summary>
    /// <returns>How many points it holds.</returns>
    public async Task<int> RebuildAsync(bool isAlone, CancellationToken ct) =>
        index.Primary is QdrantIndex qdrant ? await new Rebuild(truth, qdrant, time).RunAsync(isAlone, ct) : 0;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // What is loaded in process came from the truth, and follows it by the services' own look at what was committed since.
        if (index.Primary is not QdrantIndex)
            return;
        var pause = FirstRetry;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (!await BuildIfMissingAsync(stoppingToken))
                    await SweepAndLogAsync(stoppingToken);
                pause = FirstRetry;
                await Task.Delay(options.SweepInterval, time, stoppingToken);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // The worker's edge: whatever the index or the database does, the next round tries again.
            catch (Exception error)
#pragma warning restore CA1031
            {
                LogFailed(error, index.Name, pause);
                await Task.Delay(pause, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                pause = pause * 2 < options.SweepInterval ? pause * 2 : options.SweepInterval;
            }
        }
    }

    /// <summary>Two replicas that start at once may both build; the later switch wins, and either collection is complete.</summary>
    private async Task<bool> BuildIfMissingAsync(CancellationToken ct)
    {
        if (index.Primary is not QdrantIndex qdrant || await qdrant.Collections.CurrentAsync(ct) is not null)
            return false;
        var points = await RebuildAsync(isAlone: true, ct);
        LogBuilt(index.Name, points);
        return true;
    }

    private async Task SweepAndLogAsync(CancellationToken ct)
    {
        var report = await SweepAsync(ct);
        if (report.Repaired > 0)
            LogRepaired(index.Name, report.Compared, report.Missing, report.Stale, report.Orphaned);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The {Index} index was built from the database: {Points} points")]
    private partial void LogBuilt(string index, int points);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The {Index} index differed from the database and was repaired: of {Compared} compared, {Missing} missing, {Stale} stale, {Orphaned} orphaned")]
    private partial void LogRepaired(string index, int compared, int missing, int stale, int orphaned);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The {Index} index could not be compared with the database; it is tried again in {Pause}")]
    private partial void LogFailed(Exception error, string index, TimeSpan pause);
}
