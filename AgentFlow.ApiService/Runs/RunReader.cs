using System.Runtime.CompilerServices;
using AgentFlow.Contracts;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// Reads one run's log from a place to its end: from the tail while it keeps up, from the database when it has fallen behind, from
/// this process's run or from another's. Every transport reads through here. One reader per client; not thread-safe.
/// </summary>
internal sealed class RunReader(OwnerId owner, RunId runId, long after, LocalRuns local, RemoteTails remote, RunStore store, TimeProvider time) : IDisposable
{
    private const int PageSize = 500;
    private RunHandle? _run;
    private RunTail? _followed;
    private RunTail? _heard;
    private RunWaiter? _waiter;

    /// <summary>The newest event that was read.</summary>
    public long Position { get; private set; } = after;

    public bool IsAtEnd { get; private set; }

    /// <summary>The log goes on in another process, because this one is stopping: read on there.</summary>
    public bool IsLeft { get; private set; }

    /// <summary>True where this process executes the run and so will see its end.</summary>
    public bool IsLocal => _run is not null || local.TryFind(runId, out _);

    /// <summary>Starts on a run that is known to be ours, without looking it up.</summary>
    public RunReader On(RunHandle run)
    {
        _run = run;
        return this;
    }

    /// <summary>Adds the next events, at least one, unless nothing came within <paramref name="patience"/> or the log is at its end.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask ReadAsync(List<StoredEvent> into, TimeSpan patience, CancellationToken ct)
    {
        var started = time.GetTimestamp();
        var before = into.Count;
        while (!IsAtEnd)
        {
            var tail = Tail();
            if (!tail.TryRead(Position, into, out var version))
                into.AddRange(await store.ReadEventsAsync(owner, runId, Position, PageSize, ct));
            if (into.Count > before)
            {
                Position = into[^1].Seq;
                IsAtEnd = into[^1].IsTerminal;
                return;
            }

            // Left by a process that is stopping, for another one to go on: the client resumes there.
            if (_run is { Reason: StopReason.Draining, Ended.IsCompleted: true } left && await left.Ended is null)
            {
                IsLeft = IsAtEnd = true;
                return;
            }

            var rest = patience - time.GetElapsedTime(started);
            var waiter = _waiter ??= new(time);
            if (!tail.Listen(version, waiter, rest > TimeSpan.Zero ? rest : TimeSpan.Zero))
                continue;
            _heard = tail;
            if (!await waiter.WaitAsync(ct))
            {
                await CheckAsync(ct);
                return;
            }
        }
    }

    /// <summary>A silent run of another process may have been deleted, which nobody tells.</summary>
    private async Task CheckAsync(CancellationToken ct)
    {
        if (_run is null && await store.FindAsync(owner, runId, ct) is null)
            IsAtEnd = true;
    }

    public void Dispose()
    {
        if (_waiter is not null)
        {
            _heard?.Forget(_waiter);
            _waiter.Dispose();
        }

        if (_followed is not null)
            remote.Release(runId);
    }

    private RunTail Tail()
    {
        if (_run is null && _followed is null)
            local.TryFind(runId, out _run);

        // Lost to another process: from here on it is followed there.
        if (_run is { Reason: StopReason.Lost })
            _run = null;
        return _run?.Tail ?? (_followed ??= remote.Follow(runId, Position));
    }
}
