namespace AgentFlow.Web.State;

/// <summary>
/// Draws at most every <see cref="Interval"/>, however often something changes: at once when the last drawing is long ago, else when the interval
/// is over. A reader can not tell 20 updates a second from 200, a server with a hundred streams can.
/// </summary>
internal sealed class RenderPacer : IAsyncDisposable
{
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private readonly Lock _lock = new();
    private long _drawn;
    private bool _scheduled;

    public RenderPacer(TimeProvider time, Func<Task> draw)
    {
        _time = time;
        _timer = time.CreateTimer(_ => Draw(draw), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Thread-safe; returns at once.</summary>
    public void Request()
    {
        lock (_lock)
        {
            if (_scheduled)
                return;
            _scheduled = true;
            var wait = _drawn == 0 ? TimeSpan.Zero : Interval - _time.GetElapsedTime(_drawn);
            _timer.Change(wait > TimeSpan.Zero ? wait : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        }
    }

    public ValueTask DisposeAsync() => _timer.DisposeAsync();

    private void Draw(Func<Task> draw)
    {
        lock (_lock)
        {
            _scheduled = false;
            _drawn = _time.GetTimestamp();
        }

        // The renderer reports its own failures to the circuit; a page that is gone draws nothing.
        _ = draw();
    }
}
