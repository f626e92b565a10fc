namespace AgentFlow.Benchmarks;

/// <summary>Everything that <c>dotnet run --project AgentFlow.Benchmarks -- &lt;area&gt; [&lt;name&gt;] [options]</c> can measure; one line each.</summary>
internal static class Catalog
{
    private static readonly Measurement[] Measurements =
    [
        new("start", "", "start-up times, memory at rest, stop", Start.StartUp.RunAsync),
        new("quality", "locomo", "<file>: recall of conversation memory without a model", Quality.LocomoQuality.RunAsync),
        new("quality", "locomo-service", "<file>: the same, of the running memory service over HTTP", Quality.LocomoService.RunAsync),
        new("search", "index", "[<points>] [qdrant]: latency of one search in 5,000 and 100,000 points", Search.IndexLatency.RunAsync),
        new("soak", "index", "[<histories> [<seed>]]: truth and index after random histories with faults", Soak.IndexSoak.RunAsync),
        new("soak", "memory", "[<histories> [<seed>]]: memories through Postgres, outbox, search and Qdrant, with crashes", Soak.MemorySoakRun.RunAsync),
        new("soak", "canaries", "[<users> [<searches> [<seed>]]]: a canary of each user, looked for by all the others", Soak.CanarySoak.RunAsync),
        new("load", "memory", "[qdrant]: searches and verbatim adds of one user with 5,000 memories, over HTTP", Load.MemoryLoad.RunAsync),
        new("load", "memory-scale", "[memories] or first [owners]: one owner's searches among up to a million memories, and the first of an owner that is not loaded", Load.MemoryScale.RunAsync),
        new("load", "memory-delete", "[memories]: one user's 46,000 memories deleted in one request", Load.MemoryRemoval.RunAsync),
        new("load", "chat", "questions over documents, before a slow provider, and without a free connection", Load.ChatLoad.RunAsync),
        new("load", "streams", "[fast] [slow] [cancel] [leak]: what streams cost through the API; leak, 20,000 of them, only when named", Load.StreamLoad.RunAsync),
        new("load", "relay", "what a stream costs in our own code, without HTTP of ours and without a database", Load.RelayLoad.RunAsync),
        new("load", "web", "[<measurement>...]: first paint, long conversations, 200 people, a cut network; in a browser", Load.WebLoad.RunAsync),
        new("soak", "streams", "[cuts] [seed]: cut clients and kill the API; nothing lost, repeated or reordered", Soak.SoakStreams.RunAsync),
        new("soak", "rolling", "[<requests a second> [<rounds>]]: restart every replica under load; nobody is let down", Soak.SoakRolling.RunAsync),
        new("load", "telemetry", "[<pairs>]: throughput with and without OTLP export", Load.TelemetryLoad.RunAsync),
        new("soak", "mutations", "[count] [seed]: spoiled requests; no exits, no undeclared 5xx, memory given back", Soak.SoakMutations.RunAsync),
        new("load", "signin", "[rate]: 200 wrong sign-ins a second while somebody chats", Load.SignInLoad.RunAsync),
        new("load", "queue", "empty tasks a second, enqueue to start", Queue.QueueLoad.RunAsync),
        new("load", "documents", "[--mb 110] [qdrant]: text and PDF to searchable, memory, searches over 100,000 passages", Documents.DocumentLoad.RunAsync),
        new("quality", "encodings", "texts in the encodings before Unicode: read as written, refused, read wrongly", Quality.EncodingQuality.RunAsync),
        new("quality", "documents", "recall over public texts at hand: words, vectors, ours", Documents.DocumentQuality.RunAsync),
        new("soak", "ingestion", "[--kills 200] [--seed N]: SIGKILL at random moments of ingesting 50 files", Documents.Soak.RunAsync),
        new("soak", "disk-full", "uploads while the disk under the database is full, and after; needs root", Documents.DiskFull.RunAsync),
    ];

    /// <summary>Runs the measurement that the first words name, with the words after them as its options.</summary>
    /// <returns>The measurement's exit code (0: every figure met its goal), or 2 when no measurement has that name.</returns>
    public static async Task<int> RunAsync(string[] args)
    {
        var area = args.ElementAtOrDefault(0);
        var name = args.ElementAtOrDefault(1);
        var found = Measurements.FirstOrDefault(each => each.Area == area && each.Name == name);
        var options = args.Skip(2);
        if (found is null)
        {
            found = Measurements.FirstOrDefault(each => each.Area == area && each.Name.Length == 0);
            options = args.Skip(1);
        }

        if (found is null)
        {
            Console.WriteLine("usage: dotnet run -c Release --project AgentFlow.Benchmarks -- <area> [<name>] [options]");
            foreach (var each in Measurements)
                Console.WriteLine($"  {each.Area + " " + each.Name,-28} {each.Summary}");
            return 2;
        }

        using var stop = new CancellationTokenSource();
        Console.CancelKeyPress += (_, pressed) =>
        {
            pressed.Cancel = true;
            stop.Cancel();
        };
        return await found.RunAsync([.. options], stop.Token);
    }

    /// <param name="Area">The first word of the command.</param>
    /// <param name="Name">The second word, or empty for the area's own measurement.</param>
    /// <param name="Summary">One line for the list.</param>
    /// <param name="RunAsync">Gets the words after the name; returns the exit code.</param>
    private sealed record Measurement(string Area, string Name, string Summary, Func<string[], CancellationToken, Task<int>> RunAsync);
}
