using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ApiService.Runs;

/// <summary>How runs are executed, logged and streamed. Section <c>Runs</c>.</summary>
internal sealed class RunsOptions
{
    public const string Section = "Runs";

    /// <summary>Runs that this process executes at once, 1 to 100,000; one more is refused with 503. Default 2,000: twice the measured load of 1,000 slow streams.</summary>
    [Range(1, 100_000)]
    public int MaxConcurrent { get; set; } = 2_000;

    /// <summary>Events of all runs that wait to be committed before agents have to wait, 100 to 1,000,000. Default 20,000, about 5 MB.</summary>
    [Range(100, 1_000_000)]
    public int MaxPendingEvents { get; set; } = 20_000;

    /// <summary>Longest pause between two commits of the log when very many runs are open, 0 to 1 s. Default 60 ms: under 20 commits a second.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:01")]
    public TimeSpan MaxCommitPause { get; set; } = TimeSpan.FromMilliseconds(60);

    /// <summary>Comment sent on a stream that has been silent this long, 0.1 s to 5 min. Default 15 s, as the SSE specification advises.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:05:00")]
    public TimeSpan KeepAlive { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How long the first byte of a stream waits for the model's first sign of life, so that a provider that is down can still be told by a status code; 0 to 10 s. Default 500 ms.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:10")]
    public TimeSpan FirstByteHold { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>A process that has not renewed its lease for this long is dead and its runs are closed, 2 s to 5 min. Default 6 s.</summary>
    [Range(typeof(TimeSpan), "00:00:02", "00:05:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(6);

    /// <summary>Between two renewals of the lease, which also look for dead processes and missed signals; 0.1 s to 1 min. Default 1.5 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan Heartbeat { get; set; } = TimeSpan.FromSeconds(1.5);

    /// <summary>How long a stop of the process waits for open runs to be closed, 0.5 s to 1 min. Default 4 s, within the 5 s a drain may take.</summary>
    [Range(typeof(TimeSpan), "00:00:00.5", "00:01:00")]
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(4);

    /// <summary>How long the event log of an ended run can be resumed, 1 min to 10 years; then 410. The messages stay. Default 30 days.</summary>
    [Range(typeof(TimeSpan), "00:01:00", "3650.00:00:00")]
    public TimeSpan LogRetention { get; set; } = TimeSpan.FromDays(30);

    /// <summary>Messages of the branch that are handed to the agent, newest first to be kept, 0 to 10,000. Default 200; the agent's own budget is tighter.</summary>
    [Range(0, 10_000)]
    public int MaxHistoryMessages { get; set; } = 200;

    /// <summary>Runs that may wait in one conversation, 1 to 1,000. Default 20.</summary>
    [Range(1, 1_000)]
    public int MaxQueuedPerConversation { get; set; } = 20;
}
