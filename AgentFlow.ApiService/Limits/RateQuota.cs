using System.Collections.Concurrent;

namespace AgentFlow.ApiService.Limits;

/// <summary>What a bucket has left.</summary>
/// <param name="Taken">Whether this one fitted.</param>
/// <param name="Remaining">Further ones that would fit now.</param>
/// <param name="RetryAfter">Until the next one fits; zero when one fits now.</param>
/// <param name="Reset">Until the bucket is whole again.</param>
internal readonly record struct QuotaState(bool Taken, int Remaining, TimeSpan RetryAfter, TimeSpan Reset);

/// <summary>
/// A number of permits for each window and partition, refilled evenly (the generic cell rate algorithm: one time stamp a partition). The
/// number of partitions is bounded: beyond it, spent ones are dropped, then newcomers share a few. Per process; thread-safe.
/// </summary>
internal sealed class RateQuota(int permits, TimeSpan window, TimeProvider time, int maxPartitions = RateQuota.DefaultMaxPartitions)
{
    /// <summary>About 150 bytes each.</summary>
    public const int DefaultMaxPartitions = 20_000;

    private const int SharedPartitions = 256;

    private readonly long windowTicks = Math.Max(permits, (long)(window.TotalSeconds * time.TimestampFrequency));
    private readonly ConcurrentDictionary<string, long> full = new(StringComparer.Ordinal);
    private int approximateCount;

    public int Permits => permits;

    public TimeSpan Window => window;

    /// <summary>Partitions that are kept now; never more than the bound and the shared ones.</summary>
    public int Partitions => full.Count;

    public QuotaState Take(string partition)
    {
        var interval = windowTicks / permits;
        while (true)
        {
            var now = time.GetTimestamp();
            var key = partition;
            if (!full.TryGetValue(key, out var arrival) && Volatile.Read(ref approximateCount) >= maxPartitions)
            {
                Sweep(now);
                key = approximateCount < maxPartitions ? partition : $"shared {(uint)string.GetHashCode(partition, StringComparison.Ordinal) % SharedPartitions}";
                arrival = full.GetValueOrDefault(key);
            }

            var next = Math.Max(arrival, now) + interval;
            if (next - now > windowTicks)
            {
                return State(taken: false, arrival, now, interval);
            }

            if (arrival == 0 ? full.TryAdd(key, next) : full.TryUpdate(key, next, arrival))
            {
                if (arrival == 0)
                {
                    Interlocked.Increment(ref approximateCount);
                }

                return State(taken: true, next, now, interval);
            }
        }
    }

    /// <summary>Gives all of a partition's permits back, as after a sign-in that was right.</summary>
    public void Restore(string partition)
    {
        if (full.TryRemove(partition, out _))
        {
            Interlocked.Decrement(ref approximateCount);
        }
    }

    /// <summary>Gives one permit back.</summary>
    public void Return(string partition)
    {
        if (full.TryGetValue(partition, out var arrival))
        {
            full.TryUpdate(partition, arrival - (windowTicks / permits), arrival);
        }
    }

    private QuotaState State(bool taken, long arrival, long now, long interval)
    {
        var used = Math.Max(0, arrival - now);
        var remaining = (int)((windowTicks - used) / interval);
        var wait = remaining > 0 ? 0 : used + interval - windowTicks;
        return new QuotaState(taken, remaining, Span(wait), Span(used));
    }

    private void Sweep(long now)
    {
        foreach (var (key, arrival) in full)
        {
            if (arrival <= now && full.TryRemove(new KeyValuePair<string, long>(key, arrival)))
            {
                Interlocked.Decrement(ref approximateCount);
            }
        }
    }

    private TimeSpan Span(long ticks) => TimeSpan.FromSeconds((double)ticks / time.TimestampFrequency);
}
