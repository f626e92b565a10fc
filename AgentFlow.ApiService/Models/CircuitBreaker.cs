namespace AgentFlow.ApiService.Models;

/// <summary>
/// Keeps requests from a provider that keeps failing: after five failures in a row it is left alone for 15 s, then one request tries.
/// Also holds the provider's retry budget: retries may add 20 % to its load and no more, so that they never feed an outage (Google SRE
/// book, "Handling Overload"). Thread-safe.
/// </summary>
internal sealed class CircuitBreaker(TimeProvider time)
{
    private const int Threshold = 5;
    private const double RetriesPerRequest = 0.2;
    private const double MaxSavedRetries = 10;
    private static readonly TimeSpan OpenFor = TimeSpan.FromSeconds(15);
    private readonly Lock _gate = new();
    private int _failures;
    private double _retries = MaxSavedRetries;
    private bool _probing;
    private long _openedAt;

    /// <summary>How long the circuit stays open; null when requests may pass.</summary>
    public TimeSpan? OpenTime
    {
        get
        {
            lock (_gate)
                return Remaining();
        }
    }

    /// <summary>Asks to send a request. True: the outcome must be reported.</summary>
    public bool TryEnter()
    {
        lock (_gate)
        {
            if (_failures < Threshold)
            {
                _retries = Math.Min(MaxSavedRetries, _retries + RetriesPerRequest);
                return true;
            }

            if (_probing || Remaining() is not null)
                return false;
            return _probing = true;
        }
    }

    public bool TryTakeRetry()
    {
        lock (_gate)
        {
            if (_retries < 1)
                return false;
            _retries--;
            return true;
        }
    }

    public void Succeeded()
    {
        lock (_gate)
        {
            _failures = 0;
            _probing = false;
        }
    }

    public void Failed()
    {
        lock (_gate)
        {
            _failures++;
            _probing = false;
            if (_failures >= Threshold)
                _openedAt = time.GetTimestamp();
        }
    }

    /// <summary>The request ended without telling anything about the provider, such as by a cancel.</summary>
    public void Left()
    {
        lock (_gate)
            _probing = false;
    }

    private TimeSpan? Remaining()
    {
        if (_failures < Threshold)
            return null;
        var remaining = OpenFor - time.GetElapsedTime(_openedAt);
        return remaining > TimeSpan.Zero ? remaining : null;
    }
}
