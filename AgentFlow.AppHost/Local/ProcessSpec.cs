namespace AgentFlow.AppHost.Local;

/// <summary>What one child process is: how it is started, when it counts as healthy, how it is stopped.</summary>
internal sealed record ProcessSpec
{
    /// <summary>Its name on the console, of its log file, and in messages.</summary>
    public required string Name { get; init; }

    /// <summary>The program and its arguments.</summary>
    public required IReadOnlyList<string> Command { get; init; }

    /// <summary>Added to the AppHost's own environment; null removes a variable.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>(StringComparer.Ordinal);

    public required string WorkingDirectory { get; init; }

    /// <summary>Asked every few milliseconds until it says yes; gets the process id.</summary>
    public required Func<int, CancellationToken, Task<bool>> IsHealthy { get; init; }

    /// <summary>True: it stops when its standard input ends (a <see cref="Guard"/>). False: by SIGTERM.</summary>
    public bool StopsByPipe { get; init; }

    /// <summary>After this time a stopping process is killed.</summary>
    public required TimeSpan StopWithin { get; init; }

    /// <summary>
    /// For how long a process that ends by itself before it was ever healthy is started again; after that the start is given up with
    /// what it printed. Zero for the services: their reason (a wrong setting) does not go away.
    /// </summary>
    public TimeSpan StartPatience { get; init; }
}
