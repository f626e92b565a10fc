using System.ComponentModel.DataAnnotations;
using System.Diagnostics.Metrics;
using AgentFlow.Retrieval.Index.Qdrant;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

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
/// new model, a server that lost its data), and sweeps it from time to time. While processes with another embedding model run, it is not asked;
/// when they are gone it is compared with all rows, asked again, and what the other model left is dropped. Failures are logged and tried again.
/// </summary>
public sealed partial class IndexUpkeep : BackgroundService
{
    private static readonly Meter Meter = new("AgentFlow.Index");

    private static readonly Gauge<int> Divergence = Meter.CreateGauge<int>("agentflow.index.divergence", "{point}", "Points that the last comparison with the database found missing, stale or orphaned, and repaired.");

    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(500);

    /// <summary>How often processes say that they live: those that must notice a newcomer soon, and those that read everything anyway.</summary>
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan SlowBeat = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(250);

    private readonly VectorIndex _index;
    private readonly IIndexTruth _truth;
    private readonly IndexUpkeepOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<IndexUpkeep> _logger;
    private readonly IndexMembership? _membership;
    private readonly Sweep _sweep;
    private readonly SemaphoreSlim _renewing = new(1);
    private volatile TaskCompletionSource _isAloneNow = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private IndexStanding _standing;
    private int _timesNotAlone;
    private bool _hasDropped;

    /// <param name="membership">Null where no other process can be: the index is then always trusted.</param>
    internal IndexUpkeep(
        VectorIndex index, IIndexTruth truth, IndexUpkeepOptions options, TimeProvider time, ILogger<IndexUpkeep> logger, IndexMembership? membership = null)
    {
        _index = index;
        _truth = truth;
        _options = options;
        _time = time;
        _logger = logger;
        _membership = membership;
        _sweep = new Sweep(truth, SweepTarget.Of(index.Primary), options.SettledFor);
        if (membership is not null && index.Primary is QdrantIndex)
            index.IsTrusted = false;
    }

    /// <summary>One comparison now; not beside another.</summary>
    public async Task<SweepReport> SweepAsync(CancellationToken ct)
    {
        var report = await _sweep.RunAsync(ct);
        Divergence.Record(report.Repaired, new KeyValuePair<string, object?>("agentflow.index", _index.Name));
        return report;
    }

    /// <summary>Builds the index anew from the truth while the old one serves. With the in-process index there is nothing to do.</summary>
    /// <returns>How many points it holds.</returns>
    public async Task<int> RebuildAsync(bool isAlone, CancellationToken ct) =>
        _index.Primary is QdrantIndex qdrant ? await new Rebuild(_truth, qdrant, _time).RunAsync(isAlone, ct) : 0;

    /// <summary>
    /// Returns when every process of another embedding model knows of this one: only then may this one write, and take away outbox rows. A process
    /// that does not answer counts as dead when its lease is over.
    /// </summary>
    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        if (_membership is not null)
        {
            await RenewAsync(_membership, cancellationToken);
            while (!_standing.IsHeeded)
            {
                await Task.Delay(BetweenLooks, _time, cancellationToken);
                await RenewAsync(_membership, cancellationToken);
            }
        }

        await base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            if (_membership is not null)
                await _membership.LeaveAsync(cancellationToken);
        }
        catch (Exception error) when (error is NpgsqlException or OperationCanceledException)
        {
            LogAway(error);
        }
    }

    public override void Dispose()
    {
        _renewing.Dispose();
        base.Dispose();
    }

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Task.WhenAll(KeepMembershipAsync(stoppingToken), KeepIndexAsync(stoppingToken));

    private async Task KeepMembershipAsync(CancellationToken stoppingToken)
    {
        while (_membership is not null)
        {
            await Task.Delay(_index.Primary is QdrantIndex ? Beat : SlowBeat, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stoppingToken.IsCancellationRequested)
                return;
            try
            {
                await RenewAsync(_membership, stoppingToken);
            }
            catch (Exception error) when (error is NpgsqlException or OperationCanceledException)
            {
                if (!stoppingToken.IsCancellationRequested)
                    LogAway(error);
            }
        }
    }

    private async Task RenewAsync(IndexMembership membership, CancellationToken ct)
    {
        await _renewing.WaitAsync(ct);
        try
        {
            var standing = await membership.RenewAsync(!_index.IsTrusted, ct);

            // Said before it is done: a newcomer must not take what was said earlier for it.
            if (MayTrust(standing) && !_index.IsTrusted)
                standing = await membership.RenewAsync(yields: false, ct);
            Take(standing);

            // Those who wait for this process to yield need not wait for its next beat.
            if (_index.Primary is QdrantIndex && !standing.IsAlone)
                await membership.RenewAsync(yields: true, ct);
        }
        finally
        {
            _renewing.Release();
        }
    }

    private bool MayTrust(IndexStanding standing) => _index.Primary is QdrantIndex && standing is { IsComplete: true, IsAlone: true };

    private void Take(IndexStanding standing)
    {
        var isNew = standing is { IsAlone: true, IsComplete: false } && !_standing.IsAlone;
        _standing = standing;
        if (!standing.IsAlone)
            Interlocked.Increment(ref _timesNotAlone);
        if (_index.Primary is QdrantIndex)
            _index.IsTrusted = MayTrust(standing);
        if (isNew)
            _isAloneNow.TrySetResult();
    }

    private async Task KeepIndexAsync(CancellationToken stoppingToken)
    {
        // What is loaded in process came from the truth, and follows it by the services' own look at what was committed since.
        if (_index.Primary is not QdrantIndex qdrant)
            return;
        var pause = FirstRetry;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                _isAloneNow = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                await RoundAsync(qdrant, stoppingToken);
                pause = FirstRetry;
                await Task.WhenAny(Task.Delay(_options.SweepInterval, _time, stoppingToken), _isAloneNow.Task);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
#pragma warning disable CA1031 // The worker's edge: whatever the index or the database does, the next round tries again.
            catch (Exception error)
#pragma warning restore CA1031
            {
                LogFailed(error, _index.Name, pause);
                await Task.Delay(pause, _time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                pause = pause * 2 < _options.SweepInterval ? pause * 2 : _options.SweepInterval;
            }
        }
    }

    private async Task RoundAsync(QdrantIndex qdrant, CancellationToken ct)
    {
        var timesNotAlone = Volatile.Read(ref _timesNotAlone);
        var mayComplete = _membership is not null && _standing is { IsAlone: true, IsComplete: false };
        if (await BuildIfMissingAsync(qdrant, ct))
        {
            // Complete, or sooner or later compared.
        }
        else if (mayComplete)
        {
            Log(await new Sweep(_truth, SweepTarget.Of(qdrant), TimeSpan.Zero).RunAsync(ct));
        }
        else
        {
            Log(await SweepAsync(ct));
        }

        // Another space can not have written since without this process having yielded to it.
        if (mayComplete && timesNotAlone == Volatile.Read(ref _timesNotAlone))
        {
            await _membership!.CompleteAsync(ct);
            await RenewAsync(_membership, ct);
        }

        if (!_hasDropped && _membership is not null && _standing is { IsAlone: true, IsComplete: true })
        {
            await qdrant.Collections.DropOtherSpacesAsync(ct);
            _hasDropped = true;
        }
    }

    /// <summary>Two replicas that start at once may both build; the later switch wins, and either collection is complete.</summary>
    private async Task<bool> BuildIfMissingAsync(QdrantIndex qdrant, CancellationToken ct)
    {
        if (await qdrant.Collections.CurrentAsync(ct) is not null)
            return false;
        LogBuilt(_index.Name, await RebuildAsync(isAlone: true, ct));
        return true;
    }

    private void Log(SweepReport report)
    {
        if (report.Repaired > 0)
            LogRepaired(_index.Name, report.Compared, report.Missing, report.Stale, report.Orphaned);
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "The {Index} index was built from the database: {Points} points")]
    private partial void LogBuilt(string index, int points);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The {Index} index differed from the database and was repaired: of {Compared} compared, {Missing} missing, {Stale} stale, {Orphaned} orphaned")]
    private partial void LogRepaired(string index, int compared, int missing, int stale, int orphaned);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The {Index} index could not be compared with the database; it is tried again in {Pause}")]
    private partial void LogFailed(Exception error, string index, TimeSpan pause);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The database could not be told that this process writes the index; it is told again")]
    private partial void LogAway(Exception error);
}
