using System.Threading.Tasks.Sources;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// One reader's wait for news of a run, used again for each wait: thousands of streams wait ten times a second, each with a time limit. One wait
/// at a time; whoever ends it first (news, time, the reader's own token) decides its result.
/// </summary>
internal sealed class RunWaiter : IValueTaskSource<bool>, IDisposable
{
    private readonly ITimer _timer;
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _leaving;
    private TimeSpan _limit;
    private int _isWaiting;

    public RunWaiter(TimeProvider time) =>
        _timer = time.CreateTimer(static waiter => ((RunWaiter)waiter!).Expire(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    /// <summary>Before anybody can end the wait.</summary>
    public void Begin(TimeSpan limit)
    {
        _core.Reset();
        _limit = limit;
        Volatile.Write(ref _isWaiting, 1);
    }

    /// <returns>True for news, false when the time was over.</returns>
    /// <exception cref="OperationCanceledException">The reader left.</exception>
    public ValueTask<bool> WaitAsync(CancellationToken ct)
    {
        if (Volatile.Read(ref _isWaiting) == 1)
        {
            _timer.Change(_limit, Timeout.InfiniteTimeSpan);
            _leaving = ct.UnsafeRegister(static (waiter, token) => ((RunWaiter)waiter!).Leave(token), this);
        }

        return new(this, _core.Version);
    }

    /// <summary>Ends the wait, if there is one.</summary>
    public void Tell()
    {
        if (TryEnd())
            _core.SetResult(true);
    }

    public void Dispose()
    {
        _leaving.Dispose();
        _timer.Dispose();
    }

    bool IValueTaskSource<bool>.GetResult(short token)
    {
        _leaving.Dispose();
        _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        return _core.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    /// <summary>A call that was under way when its wait ended may end the next one early, which readers take for silence and wait again.</summary>
    private void Expire()
    {
        if (TryEnd())
            _core.SetResult(false);
    }

    private void Leave(CancellationToken token)
    {
        if (TryEnd())
            _core.SetException(new OperationCanceledException(token));
    }

    private bool TryEnd() => Interlocked.Exchange(ref _isWaiting, 0) == 1;
}
