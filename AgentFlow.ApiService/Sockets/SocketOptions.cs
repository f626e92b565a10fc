using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ApiService.Sockets;

/// <summary>What a WebSocket may do. Section <c>Sockets</c>.</summary>
internal sealed class SocketOptions
{
    public const string Section = "Sockets";

    /// <summary>Bytes of one message, 1 KiB to 16 MiB; a longer one closes the socket with 1009. Default 256 KiB: a message of 50,000 characters with its context.</summary>
    [Range(1_024, 16 * 1_024 * 1_024)]
    public int MaxMessageBytes { get; set; } = 256 * 1_024;

    /// <summary>Frames a second, whole or not, 1 to 100,000; more close the socket with 1008. Default 50: faster than anybody types, slower than a flood.</summary>
    [Range(1, 100_000)]
    public int FramesPerSecond { get; set; } = 50;

    /// <summary>Answers that one socket follows at a time, 1 to 1,000. Default 8.</summary>
    [Range(1, 1_000)]
    public int MaxRuns { get; set; } = 8;

    /// <summary>Between two pings of the server, 1 s to 5 min; a client that does not answer is gone. Default 15 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:05:00")]
    public TimeSpan KeepAlive { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Between two looks whether the caller may still be here, 1 s to 15 s. Default 3 s.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:00:15")]
    public TimeSpan AccessCheck { get; set; } = TimeSpan.FromSeconds(3);

    /// <summary>How long a ticket opens a socket, 5 s to 5 min. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:05", "00:05:00")]
    public TimeSpan TicketLife { get; set; } = TimeSpan.FromSeconds(30);
}
