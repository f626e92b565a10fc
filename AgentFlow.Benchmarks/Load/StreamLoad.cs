using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Benchmarks.Load;

/// <summary>
/// Streams of fifty tokens through the whole API (authentication, recall, log, history) against the same streams taken from the
/// provider directly: one after another, 32 in parallel, and a thousand slow ones; and how fast a cancel reaches the provider.
/// </summary>
internal static class StreamLoad
{
    private const int Tokens = 50;
    private const int Slow = 1_000;
    private static readonly string[] Words = [.. Enumerable.Range(0, Tokens).Select(i => $" word{i}")];

    /// <summary>Made once: a provider that writes its JSON anew for each stream would be measured, too.</summary>
    private static readonly Script AtOnce = Script.Say(Words);
    private static readonly Script Slowly = Script.Say(TimeSpan.FromMilliseconds(200), TimeSpan.FromMilliseconds(100), Words);

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var figures = new Figures();
        await using var postgres = await PrivatePostgres.StartAsync(durable: true);
        await using var provider = await ScriptedProvider.StartAsync();
        provider.KeepsRequests = false;
        var database = await postgres.CreateDatabaseAsync(ct);
        var keys = $"k1:{Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))}";
        await using var memory = await BareMemory.StartAsync(await postgres.CreateDatabaseAsync(ct), ct, ("Auth:Keys", keys));
        var settings = new Dictionary<string, string>(Settings(provider), StringComparer.Ordinal) { ["Auth:Keys"] = keys, ["services:memory:http:0"] = memory.Address.ToString() };
        await using var api = await ApiProcess.StartAsync(database, settings, ct);
        using var client = api.Client();
        using var direct = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new($"{provider.Endpoint.ToString().TrimEnd('/')}/") };
        if (options.Length == 0 || options.Contains("fast"))
            await FastAsync(provider, api, postgres, client, direct, database, figures, ct);
        if (options.Length == 0 || options.Contains("slow"))
            await SlowAsync(provider, api, postgres, client, direct, database, isWarm: options.Length == 0 || options.Contains("fast"), figures, ct);
        if (options.Length == 0 || options.Contains("cancel"))
            await CancelAsync(provider, client, figures, ct);
        if (options.Contains("leak"))
            await LeakAsync(provider, api, client, database, figures, ct);
        return figures.ExitCode;
    }

    /// <summary>What a process holds after 20,000 streams against what it held after the first 1,000.</summary>
    private static async Task LeakAsync(ScriptedProvider provider, ApiProcess api, HttpClient client, string database, Figures figures, CancellationToken ct)
    {
        provider.Respond = _ => AtOnce;
        await MeasureAsync(() => ChatAsync(client, ct), 1_000, 32);
        var before = await HeldAsync(api, database, ct);
        await MeasureAsync(() => ChatAsync(client, ct), 19_000, 32);
        var after = await HeldAsync(api, database, ct);
        figures.Report("after 20,000 streams: memory, of that after 1,000", 100.0 * after.Bytes / before.Bytes, "%", atMost: 110);
        figures.Report("after 20,000 streams: handles, of those after 1,000", 100.0 * after.Handles / before.Handles, "%", atMost: 110);
        figures.Report("after 20,000 streams: connections, of those after 1,000", 100.0 * after.Connections / before.Connections, "%", atMost: 110);
    }

    /// <summary>After a pause in which nothing is asked, so that what is only being used is let go of.</summary>
    private static async Task<(long Bytes, int Handles, long Connections)> HeldAsync(ApiProcess api, string database, CancellationToken ct)
    {
        await Task.Delay(TimeSpan.FromSeconds(10), ct);
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(ct);
        await using var count = new NpgsqlCommand("select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()", connection);
        return (api.ResidentBytes(), Directory.GetFiles($"/proc/{api.Id}/fd").Length, (long)(await count.ExecuteScalarAsync(ct))!);
    }

    internal static Dictionary<string, string> Settings(ScriptedProvider provider) => new()
    {
        ["Models:Providers:0:Endpoint"] = provider.Endpoint.ToString(), ["Models:Providers:0:Model"] = "scripted", ["Models:Providers:0:ApiKey"] = "k",
    };

    /// <summary>Warm, since a service runs for weeks: after 6,000 streams, and when what they left to learn is learnt.</summary>
    private static async Task FastAsync(
        ScriptedProvider provider, ApiProcess api, PrivatePostgres postgres, HttpClient client, HttpClient direct, string database, Figures figures, CancellationToken ct)
    {
        provider.Respond = _ => AtOnce;
        await MeasureAsync(() => DirectAsync(direct, ct), 1_000, 1);
        await MeasureAsync(() => ChatAsync(client, ct), 300, 1);
        var (cold, _) = await MeasureAsync(() => ChatAsync(client, ct), 300, 1);
        await MeasureAsync(() => ChatAsync(client, ct), 5_000, 32);
        await QuietAsync(database, ct);
        await MeasureAsync(() => ChatAsync(client, ct), 400, 1);
        var (alone, _) = await MeasureAsync(() => DirectAsync(direct, ct), 500, 1);
        var (through, _) = await MeasureAsync(() => ChatAsync(client, ct), 500, 1);
        var base50 = Figures.Percentile(alone, 50);
        figures.Report("one stream, direct, p50", base50, "ms");
        figures.Report("one stream, added by the API, p50", Figures.Percentile(through, 50) - base50, "ms", atMost: 3);
        figures.Report("the same in the first minute of the service, p50", Figures.Percentile(cold, 50) - base50, "ms");
        var (before, postgres0, own0) = (api.ProcessorTime(), postgres.CpuTime(), SlowStreams.OwnTime());
        var (times, rate) = await MeasureAsync(() => ChatAsync(client, ct), 5_000, 32);
        figures.Report("32 in parallel: processor time of the API, each stream", (api.ProcessorTime() - before).TotalMilliseconds / 5_000, "ms");
        figures.Report("32 in parallel: of Postgres", (postgres.CpuTime() - postgres0).TotalMilliseconds / 5_000, "ms");
        figures.Report("32 in parallel: of client, provider and memory service", (SlowStreams.OwnTime() - own0).TotalMilliseconds / 5_000, "ms");
        figures.Report("32 in parallel", rate, "streams/s", atLeast: 1_000);
        figures.Report("32 in parallel, p95", Figures.Percentile(times, 95), "ms", atMost: 60);
    }

    /// <summary>Until the queue is empty.</summary>
    private static async Task QuietAsync(string database, CancellationToken ct)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(ct);
        await using var count = new NpgsqlCommand("select count(*) from agentflow_api.tasks where status in ('queued', 'running')", connection);
        while ((long)(await count.ExecuteScalarAsync(ct))! > 0)
            await Task.Delay(200, ct);
    }

    private static async Task SlowAsync(
        ScriptedProvider provider, ApiProcess api, PrivatePostgres postgres, HttpClient client, HttpClient direct, string database, bool isWarm, Figures figures, CancellationToken ct)
    {
        if (!isWarm)
        {
            provider.Respond = _ => AtOnce;
            await MeasureAsync(() => ChatAsync(client, ct), 6_000, 32);
            await QuietAsync(database, ct);
        }

        var arrivals = new ConcurrentQueue<long>();
        provider.Respond = _ =>
        {
            arrivals.Enqueue(Stopwatch.GetTimestamp());
            return Slowly;
        };
        var slow = new SlowStreams(ct);
        await slow.ArriveAsync(() => SendAsync(client, ct), 100, "event: message.delta", "event: run.completed");
        arrivals.Clear();
        var direct0 = SlowStreams.OwnTime();
        var alone = await slow.ArriveAsync(() => SendDirectAsync(direct, ct), Slow, "\"content\":", "data: [DONE]");
        SlowStreams.Report("direct", alone, arrivals, figures);
        figures.Report("1,000 slow streams: processor time of client and provider, direct", (SlowStreams.OwnTime() - direct0).TotalSeconds, "s");
        arrivals.Clear();
        var (api0, postgres0, own0) = (api.ProcessorTime(), postgres.CpuTime(), SlowStreams.OwnTime());
        var watching = slow.WatchAsync(database);
        var through = await slow.ArriveAsync(() => SendAsync(client, ct), Slow, "event: message.delta", "event: run.completed");
        var (commits, connections) = await watching;
        figures.Report("1,000 slow streams: errors", Slow - through.Count, "", atMost: 0);
        SlowStreams.Report("through the API", through, arrivals, figures);
        figures.Report("1,000 slow streams, added by the API, p95", Figures.Percentile(through.Select(each => each.End), 95) - Figures.Percentile(alone.Select(each => each.End), 95), "ms", atMost: 100);
        figures.Report("1,000 slow streams: processor time of the API", (api.ProcessorTime() - api0).TotalSeconds, "s");
        figures.Report("1,000 slow streams: processor time of Postgres", (postgres.CpuTime() - postgres0).TotalSeconds, "s");
        figures.Report("1,000 slow streams: of client, provider and memory service", (SlowStreams.OwnTime() - own0).TotalSeconds, "s");
        figures.Report("1,000 slow streams: memory of the API", api.ResidentBytes() / 1e6, "MB RSS", atMost: 350);
        figures.Report("1,000 slow streams: commits for their deltas", commits, "1/s", atMost: 20);
        figures.Report("1,000 slow streams: connections to Postgres", connections, "", atMost: 17);
    }

    private static async Task CancelAsync(ScriptedProvider provider, HttpClient client, Figures figures, CancellationToken ct)
    {
        provider.Respond = _ => Script.SayThenStall("one", " two");
        var times = new List<double>();
        for (var i = 0; i < 200; i++)
        {
            using var response = await SendAsync(client, ct);
            using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(ct));
            var run = "";
            while (await reader.ReadLineAsync(ct) is { } line && line != "event: message.delta")
            {
                if (line.StartsWith("id: ", StringComparison.Ordinal))
                    run = line[4..line.IndexOf('.', StringComparison.Ordinal)];
            }

            var aborts = provider.AbortCount;
            var started = Stopwatch.GetTimestamp();
            var cancelling = client.PostAsync($"/api/runs/{run}/cancel", null, ct);
            while (provider.AbortCount == aborts)
                await Task.Yield();
            times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            using var cancelled = await cancelling;
        }

        figures.Report("cancel to upstream closed, p50", Figures.Percentile(times, 50), "ms");
        figures.Report("cancel to upstream closed, p99", Figures.Percentile(times, 99), "ms", atMost: 100);
    }

    private static async Task<(List<double> Times, double Rate)> MeasureAsync(Func<Task> stream, int count, int parallel)
    {
        var times = new List<double>();
        var left = count;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, parallel).Select(async _ =>
        {
            while (Interlocked.Decrement(ref left) >= 0)
            {
                var begun = Stopwatch.GetTimestamp();
                await stream();
                lock (times)
                    times.Add(Stopwatch.GetElapsedTime(begun).TotalMilliseconds);
            }
        }));
        return (times, count / Stopwatch.GetElapsedTime(started).TotalSeconds);
    }

    private static Task<HttpResponseMessage> SendAsync(HttpClient client, CancellationToken ct) => client.SendAsync(
        new HttpRequestMessage(HttpMethod.Post, "/api/chat") { Content = JsonContent.Create(new ChatRequest { Message = "Say fifty words." }, options: ContractJson.Options) },
        HttpCompletionOption.ResponseHeadersRead,
        ct);

    private static async Task ChatAsync(HttpClient client, CancellationToken ct)
    {
        using var response = await SendAsync(client, ct);
        var body = await response.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync(ct);
        if (body.AsSpan().IndexOf("event: run.completed"u8) < 0)
            throw new InvalidOperationException(Encoding.UTF8.GetString(body));
    }

    private static Task<HttpResponseMessage> SendDirectAsync(HttpClient client, CancellationToken ct) => client.SendAsync(
        new HttpRequestMessage(HttpMethod.Post, "chat/completions")
        {
            Content = JsonContent.Create(new { model = "scripted", stream = true, messages = new[] { new { role = "user", content = "Say fifty words." } } }),
        },
        HttpCompletionOption.ResponseHeadersRead,
        ct);

    private static async Task DirectAsync(HttpClient client, CancellationToken ct)
    {
        using var response = await SendDirectAsync(client, ct);
        await response.EnsureSuccessStatusCode().Content.ReadAsByteArrayAsync(ct);
    }
}
