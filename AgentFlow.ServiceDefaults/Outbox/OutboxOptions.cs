using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ServiceDefaults.Outbox;

/// <summary>How the index follows the truth. Section <c>Outbox</c>.</summary>
public sealed class OutboxOptions
{
    public const string Section = "Outbox";

    /// <summary>Whether this process applies entries. Default true.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Entries taken at once, 1 to 10,000. Default 256.</summary>
    [Range(1, 10_000)]
    public int BatchSize { get; set; } = 256;

    /// <summary>How long taken entries are left alone, and the longest pause after failures. Default 30 s, 1 s to 10 min.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How often an idle worker looks for entries of other processes. Default 1 s, 10 ms to 1 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00.010", "00:01:00")]
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(1);
}
