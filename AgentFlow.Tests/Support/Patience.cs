namespace AgentFlow.Tests.Support;

/// <summary>
/// What keeps a slow machine from failing a test: waits for conditions instead of times, and the product's time limits set so wide in the
/// hosts of tests that only a test of the limit itself meets one.
/// </summary>
internal static class Patience
{
    /// <summary>Long enough for anything that happens at all; whoever waits this long has found a fault.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private static readonly TimeSpan Between = TimeSpan.FromMilliseconds(20);

    /// <summary>For every service; a test's own settings come after them.</summary>
    public static IReadOnlyDictionary<string, string?> Settings { get; } = new Dictionary<string, string?>(StringComparer.Ordinal)
    {
        ["Postgres:ConnectionTimeout"] = "00:01:00",
        ["Postgres:CommandTimeout"] = "00:05:00",
        ["Postgres:StartTimeout"] = "00:05:00",
        ["Queue:Lease"] = "00:01:00",
        ["Limits:RequestTimeout"] = "00:05:00",
        ["Limits:HeadersTimeout"] = "00:05:00",
        ["Auth:RefreshRepeatWindow"] = "00:01:00",
        ["Sockets:TicketLife"] = "00:05:00",
        ["Recall:Deadline"] = "00:01:00",
        ["Runs:Lease"] = "00:05:00",
        ["Runs:DrainTimeout"] = "00:01:00",
        ["Documents:ExtractionTimeout"] = "00:10:00",
    };

    /// <summary>
    /// The same for AgentFlow as processes, in their environment. Leases and draining stay as users have them: who kills a process waits for them.
    /// </summary>
    public static IReadOnlyDictionary<string, string?> Environment { get; } = Settings
        .Where(setting => !setting.Key.StartsWith("Runs:", StringComparison.Ordinal) && setting.Key is not "Queue:Lease")
        .ToDictionary(setting => setting.Key.Replace(":", "__", StringComparison.Ordinal), setting => setting.Value, StringComparer.Ordinal);

    /// <summary>For a scripted provider, which may wait for a test.</summary>
    public static IReadOnlyDictionary<string, string?> ProviderSettings { get; } = new Dictionary<string, string?>(StringComparer.Ordinal)
    {
        ["Models:Providers:0:FirstTokenTimeout"] = "00:10:00",
        ["Models:Providers:0:InterTokenTimeout"] = "00:10:00",
    };

    /// <summary>Looks again and again until the condition holds.</summary>
    /// <param name="what">What is waited for, as the failure will say it.</param>
    public static Task UntilAsync(Func<Task<bool>> condition, string what) =>
        UntilAsync(async () => await condition(), holds => holds, what);

    /// <summary>Reads again and again until what was read is as wanted, and returns it.</summary>
    public static async Task<T> UntilAsync<T>(Func<Task<T>> read, Func<T, bool> holds, string what)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var value = await read();
            if (holds(value))
                return value;
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Limit, $"Waited {Limit.TotalSeconds:0} s in vain: {what}. Last seen: {value}");
            await Task.Delay(Between, TestContext.Current.CancellationToken);
        }
    }
}
