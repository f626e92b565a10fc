using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>How a service uses its database. Section <c>Postgres</c>.</summary>
public sealed class PostgresOptions
{
    public const string Section = "Postgres";

    /// <summary>Connections of this process at most, 2 to 500. Default 15: three services stay far below Postgres' own 100.</summary>
    [Range(2, 500)]
    public int MaxPoolSize { get; set; } = 15;

    /// <summary>Longest wait for a free or new connection before the caller gets 503. Default 5 s, 0.1 s to 60 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan ConnectionTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest time for one round trip. Default 15 s, 1 s to 10 min.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How long the start waits for a Postgres that is not there yet. Default 30 s, 0 to 10 min.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan StartTimeout { get; set; } = TimeSpan.FromSeconds(30);
}
