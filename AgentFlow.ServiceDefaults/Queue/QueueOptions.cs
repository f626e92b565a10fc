using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ServiceDefaults.Queue;

/// <summary>The durable queue's limits. Section <c>Queue</c>.</summary>
public sealed class QueueOptions
{
    public const string Section = "Queue";

    /// <summary>Whether this process works on tasks; off where workers run in replicas of their own. Default true.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Tasks that this process runs at once, 1 to 256. Default 4: two cores, and most tasks also wait for Postgres.</summary>
    [Range(1, 256)]
    public int Concurrency { get; set; } = 4;

    /// <summary>Tasks of one owner that run at once over all processes, 1 to 256. Default 4.</summary>
    [Range(1, 256)]
    public int ConcurrencyPerOwner { get; set; } = 4;

    /// <summary>How long a claim is held without a heartbeat, by the database's clock. Default 15 s, 1 s to 10 min; renewed at a third of it.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How often an idle worker looks even if nobody woke it. Default 2 s, 10 ms to 1 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>First pause before another attempt; doubles each time, with jitter, up to 5 min. Default 1 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.001", "00:05:00")]
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long an ended task can be read. Default 7 days, 1 min to 365 days.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "365.00:00:00")]
    public TimeSpan KeepEnded { get; set; } = TimeSpan.FromDays(7);

    /// <summary>How often the metrics of what waits are taken, where somebody collects them. Default 10 s, 10 ms to 10 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:10:00")]
    public TimeSpan MeasureInterval { get; set; } = TimeSpan.FromSeconds(10);
}
