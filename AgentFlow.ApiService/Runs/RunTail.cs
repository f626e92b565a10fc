namespace AgentFlow.ApiService.Runs;

/// <summary>
/// The newest committed events of a run, kept in memory for the readers of this process. Readers pull: a slow one costs nothing here
/// and finds what has left the tail in the log. Thread-safe; one publisher at a time.
/// </summary>
/// <param name="committed">The newest event that is in the log already and not in this tail.</param>
internal sealed class RunTail(long committed = 0)
{
    /// <summary>Enough for a reader that is a few seconds behind a fast model; older events come from the log.</summary>
    private const int MaxEvents = 1024;

    private readonly Lock _gate = new();
    private readonly List<RunWaiter> _waiting = new(capacity: 1);

    /// <summary>A ring: an event's number says its place, so that no reader passes by what it has read.</summary>
    private StoredEvent[] _events = [];
    private int _count;
    private long _version;
    private long _firstSeq = committed + 1;
    private long _lastSeq = committed;

    /// <summary>The newest published event; 0 before the first.</summary>
    public long LastSeq => Interlocked.Read(ref _lastSeq);

    /// <summary>Makes committed events visible, in order and without a gap, and wakes the readers.</summary>
    public void Publish(ReadOnlySpan<StoredEvent> events)
    {
        lock (_gate)
        {
            foreach (var evt in events)
            {
                if (_count == 0)
                    _firstSeq = evt.Seq;
                if (_count == _events.Length && _count < MaxEvents)
                    Grow();
                _events[PlaceOf(evt.Seq)] = evt;
                if (_count < MaxEvents)
                    _count++;
                else
                    _firstSeq++;
            }

            _lastSeq = events[^1].Seq;
            Tell();
        }
    }

    /// <summary>Wakes the readers without news: the run is no longer followed here.</summary>
    public void Pulse()
    {
        lock (_gate)
            Tell();
    }

    /// <summary>
    /// Copies what follows <paramref name="after"/>. False when the tail no longer reaches back that
    /// far: read the log. Nothing copied and true: nothing is new, <see cref="Listen"/> with this <paramref name="version"/>.
    /// </summary>
    public bool TryRead(long after, List<StoredEvent> into, out long version)
    {
        lock (_gate)
        {
            version = _version;
            if (after >= _lastSeq)
                return true;
            if (after + 1 < _firstSeq)
                return false;
            for (var seq = after + 1; seq <= _lastSeq; seq++)
                into.Add(_events[PlaceOf(seq)]);
            return true;
        }
    }

    /// <summary>Begins a wait that the next news end.</summary>
    /// <returns>False when there are news since that version: read again.</returns>
    public bool Listen(long version, RunWaiter waiter, TimeSpan limit)
    {
        lock (_gate)
        {
            if (version != _version)
                return false;
            waiter.Begin(limit);
            if (!_waiting.Contains(waiter))
                _waiting.Add(waiter);
            return true;
        }
    }

    /// <summary>The reader has left.</summary>
    public void Forget(RunWaiter waiter)
    {
        lock (_gate)
            _waiting.Remove(waiter);
    }

    private int PlaceOf(long seq) => (int)(seq & (_events.Length - 1));

    /// <summary>To the next power of two; most runs need few.</summary>
    private void Grow()
    {
        var smaller = _events;
        _events = new StoredEvent[Math.Max(smaller.Length * 2, 16)];
        for (var seq = _firstSeq; seq < _firstSeq + _count; seq++)
            _events[PlaceOf(seq)] = smaller[(int)(seq & (smaller.Length - 1))];
    }

    /// <summary>Within the gate: a waiter goes on elsewhere, not here.</summary>
    private void Tell()
    {
        _version++;
        foreach (var waiter in _waiting)
            waiter.Tell();
        _waiting.Clear();
    }
}
