namespace AgentFlow.ServiceDefaults.Queue;

/// <summary>Exponential back-off with full jitter in its upper half, so that tasks that failed together do not come back together.</summary>
internal static class RetryDelay
{
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);

    /// <param name="first">Pause after the first attempt.</param>
    /// <param name="attempt">1-based number of the attempt that failed.</param>
    /// <param name="random">0 to 1.</param>
    public static TimeSpan After(TimeSpan first, int attempt, double random)
    {
        var doubled = first.TotalMilliseconds * Math.Pow(2, Math.Clamp(attempt - 1, 0, 30));
        return TimeSpan.FromMilliseconds(Math.Min(doubled, Longest.TotalMilliseconds) * (0.5 + (random / 2)));
    }
}
