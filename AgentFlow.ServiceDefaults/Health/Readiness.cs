using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.Logging;

namespace AgentFlow.ServiceDefaults.Health;

public enum CheckStatus
{
    Ok,

    /// <summary>Answers get worse, but are given.</summary>
    Degraded,

    /// <summary>The service can not do its job.</summary>
    Failed,
}

/// <param name="Error">One sentence, safe to show; null when all is well.</param>
public sealed record CheckResult(CheckStatus Status, string? Error = null)
{
    public static CheckResult Ok { get; } = new(CheckStatus.Ok);
}

/// <summary>One thing that the service depends on. Asked at most every 10 s, together with the others, and given 2 s.</summary>
public interface IReadinessCheck
{
    /// <summary>As in <c>/ready</c>: postgres, memory, index, model.</summary>
    string Name { get; }

    Task<CheckResult> CheckAsync(CancellationToken ct);
}

public sealed record ReadinessReport(string Status, IReadOnlyDictionary<string, ReadinessEntry> Checks);

/// <param name="Ms">How long the answer took.</param>
/// <param name="Error">What is wrong now; absent when all is well.</param>
/// <param name="LastError">The newest error since the start, also after it has gone; absent when there was none.</param>
public sealed record ReadinessEntry(CheckStatus Status, double Ms, string? Error = null, LastError? LastError = null);

public sealed record LastError(string Error, DateTimeOffset At);

/// <summary>Asks all checks in parallel and keeps the answer for a while, so that a probe can not load what it probes.</summary>
public sealed partial class Readiness(IEnumerable<IReadinessCheck> checks, TimeProvider time, ILogger<Readiness> logger) : IDisposable
{
    private static readonly TimeSpan KeptFor = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);
    private readonly SemaphoreSlim single = new(1, 1);
    private readonly ConcurrentDictionary<string, LastError> lastErrors = new(StringComparer.Ordinal);
    private (ReadinessReport Report, long At)? last;

    public async Task<ReadinessReport> ReportAsync(CancellationToken ct)
    {
        await single.WaitAsync(ct);
        try
        {
            // A state that is not good is looked at again at once: recovery should show.
            if (last is { } kept && kept.Report.Status == "ready" && time.GetElapsedTime(kept.At) < KeptFor)
            {
                return kept.Report;
            }

            var entries = await Task.WhenAll(checks.Select(check => AskAsync(check, ct)));
            var worst = entries.Length == 0 ? CheckStatus.Ok : entries.Max(entry => entry.Entry.Status);
            var status = worst switch { CheckStatus.Ok => "ready", CheckStatus.Degraded => "degraded", _ => "not_ready" };
            var report = new ReadinessReport(status, entries.ToDictionary(entry => entry.Name, entry => entry.Entry, StringComparer.Ordinal));
            last = (report, time.GetTimestamp());
            return report;
        }
        finally
        {
            single.Release();
        }
    }

    public void Dispose() => single.Dispose();

    private async Task<(string Name, ReadinessEntry Entry)> AskAsync(IReadinessCheck check, CancellationToken ct)
    {
        var started = time.GetTimestamp();
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limited.CancelAfter(Limit);
        CheckResult result;
        try
        {
            result = await check.CheckAsync(limited.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            result = new CheckResult(CheckStatus.Failed, "no answer within 2 s");
        }
#pragma warning disable CA1031 // An edge: whatever a probe throws is the answer to the probe.
        catch (Exception error) when (error is not OperationCanceledException)
#pragma warning restore CA1031
        {
            LogFailed(error, check.Name);
            result = new CheckResult(CheckStatus.Failed, $"{check.Name} can not be reached");
        }

        if (result.Error is { } problem)
        {
            lastErrors[check.Name] = new LastError(problem, time.GetUtcNow());
        }

        return (check.Name, new ReadinessEntry(
            result.Status, Math.Round(time.GetElapsedTime(started).TotalMilliseconds, 1), result.Error, lastErrors.GetValueOrDefault(check.Name)));
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The readiness check {Check} failed")]
    private partial void LogFailed(Exception error, string check);
}
