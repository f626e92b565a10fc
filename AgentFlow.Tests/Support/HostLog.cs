using System.Collections.Concurrent;
using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit.v3;

[assembly: AgentFlow.Tests.Support.ShowHostLog]

namespace AgentFlow.Tests.Support;

/// <summary>
/// Where the services log that run in this process: not to the console, but to the output of the test that ran meanwhile, which the runner
/// shows when it failed. Two test classes run at a time, so lines of the other's hosts may stand among them. Bounded; thread-safe.
/// </summary>
internal static class HostLog
{
    private const int Kept = 2_000;

    private static readonly ConcurrentQueue<(long Number, string Text)> Lines = new();
    private static long last;

    /// <summary>How many lines there were until now.</summary>
    public static long Position => Interlocked.Read(ref last);

    /// <summary>Takes the service's lines, and silences its console.</summary>
    public static void AddTo(WebApplicationBuilder builder)
    {
        builder.Configuration["Logging:Console:LogLevel:Default"] = "None";
        builder.Services.AddSingleton<ILoggerProvider, Provider>();
    }

    public static IEnumerable<string> Since(long position) => Lines.Where(line => line.Number > position).Select(line => line.Text);

    private static void Add(string text)
    {
        Lines.Enqueue((Interlocked.Increment(ref last), text));
        while (Lines.Count > Kept)
            Lines.TryDequeue(out _);
    }

    private sealed class Provider : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => new Logger(categoryName);

        public void Dispose()
        {
        }
    }

    private sealed class Logger(string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                Add($"{TimeProvider.System.GetUtcNow():HH:mm:ss.fff} {logLevel} {category}: {formatter(state, exception)} {exception}");
        }
    }
}

/// <summary>Hands each test what the services logged while it ran.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class ShowHostLogAttribute : BeforeAfterTestAttribute
{
    private readonly ConcurrentDictionary<string, long> _before = new(StringComparer.Ordinal);

    public override void Before(MethodInfo methodUnderTest, IXunitTest test) => _before[test.UniqueID] = HostLog.Position;

    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        _before.TryRemove(test.UniqueID, out var position);
        foreach (var line in HostLog.Since(position))
            TestContext.Current.TestOutputHelper?.WriteLine(line);
    }
}
