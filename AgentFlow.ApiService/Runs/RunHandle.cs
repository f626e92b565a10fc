using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.ApiService.Runs;

/// <summary>Why a run is being stopped; the first reason wins.</summary>
internal enum StopReason
{
    None,
    Cancelled,
    Draining,
    Lost,
}

/// <summary>A run that this process holds the lease of: its identity, its place in the log, its tail and the way to stop it.</summary>
internal sealed class RunHandle : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<RunEvent?> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _reason;

    public RunHandle(RunId runId, OwnerId ownerId, ConversationId conversationId, int fence, long lastSeq)
    {
        (RunId, OwnerId, ConversationId, Fence, LastSeq) = (runId, ownerId, conversationId, fence, lastSeq);
        Tail = new(lastSeq);
        Stopping = _stop.Token;
    }

    public RunId RunId { get; }

    public OwnerId OwnerId { get; }

    public ConversationId ConversationId { get; }

    /// <summary>Raised whenever the run changes hands; writes with an older one affect nothing.</summary>
    public int Fence { get; }

    public RunTail Tail { get; }

    /// <summary>What was handed in while the run goes on.</summary>
    public RunAdditions Additions { get; } = new();

    /// <summary>The newest event that was handed to a transaction; touched by the log's writer alone.</summary>
    public long LastSeq { get; set; }

    /// <summary>It waits for its turn, and nothing was done yet: another process may begin it as well.</summary>
    public bool IsUnbegun { get; set; }

    /// <summary>Cancelled when the run is to stop, for whatever reason.</summary>
    public CancellationToken Stopping { get; }

    public StopReason Reason => (StopReason)Volatile.Read(ref _reason);

    /// <summary>Completes with the committed terminal event, or null when the run was lost to another process.</summary>
    public Task<RunEvent?> Ended => _ended.Task;

    public void Stop(StopReason reason)
    {
        if (Interlocked.CompareExchange(ref _reason, (int)reason, (int)StopReason.None) != (int)StopReason.None)
            return;
        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The run ended while it was asked to stop.
        }
    }

    /// <summary>How a failed run answers while no byte was sent; set before its terminal event.</summary>
    public RunFailedException? Failure { get; set; }

    /// <summary>All that the run wrote; set before its terminal event.</summary>
    public RunWriter? Written { get; set; }

    public void End(RunEvent? terminal)
    {
        _ended.TrySetResult(terminal);
        if (terminal is null)
            Tail.Pulse();
    }

    public void Dispose() => _stop.Dispose();
}
