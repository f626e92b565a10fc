using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService;
using AgentFlow.MemoryService.Access;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Benchmarks.Load;

/// <summary>
/// Searches and verbatim adds of one user with 5,000 memories, over HTTP with an API key, against a durable Postgres on the same cores:
/// <c>load memory [qdrant]</c>, with a Qdrant server of its own when named.
/// </summary>
internal static class MemoryLoad
{
    private const int Memories = 5_000;

    /// <summary>Until the code is compiled for good: the same searches take twice as long after 500.</summary>
    private const int WarmUp = 4_000;
    private const int Serial = 2_000;
    private const int Parallel = 8_000;
    private const int Clients = 16;

    private static readonly string[] Words =
        ("garden tulip kettle harbor violin ledger comet pepper saddle lantern marble orchard pigeon quartz ribbon shovel tunnel umbrella valley walnut anchor " +
        "basket candle desert engine fabric glacier hammer island jacket kernel ladder magnet needle oyster pencil rocket spider temple vessel window yogurt").Split(' ');

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        await using var postgres = await PrivatePostgres.StartAsync(durable: true);
        await using var server = options.Contains("qdrant") ? await QdrantServer.StartAsync() : null;
        var qdrant = server?.ConnectionString;
        var connection = await postgres.CreateDatabaseAsync(ct);
        await using var app = MemoryServiceApplication.Build(["--urls", "http://127.0.0.1:0", "--environment", "Production"], builder =>
            builder.Configuration.AddInMemoryCollection(Settings(connection, qdrant)));
        await app.StartAsync(ct);
        var address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        var key = await app.Services.GetRequiredService<ApiKeyStore>().CreateAsync(
            Guid.CreateVersion7(), new NewMemoryKey { Name = "load", Scopes = ["read", "write"] }, ct);
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 64 }) { BaseAddress = address };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key.Secret);

        var run = new Runner(postgres, server);
        var failed = 0;
        await run.ManyAsync(Clients, Memories, i => AddAsync(http, i, ct));
        await WholeAsync(http, ct);
        await run.ManyAsync(1, WarmUp, i => SearchAsync(http, i, ct));
        var search = await run.ManyAsync(1, Serial, i => SearchAsync(http, i, ct));
        failed += Report(qdrant is null ? "search, one at a time" : "search with Qdrant, one at a time", search, qdrant is null ? (2, 5) : (5, 12), null);
        failed += Report($"search, {Clients} in parallel", await run.ManyAsync(Clients, Parallel, i => SearchAsync(http, i, ct)), null, qdrant is null ? 1_500 : null);
        await run.ManyAsync(1, 200, i => AddAsync(http, Memories + i, ct));
        failed += Report("verbatim add, one at a time", await run.ManyAsync(1, Serial, i => AddAsync(http, 10_000 + i, ct)), (2, null), null);
        failed += Report($"verbatim add, {Clients} in parallel", await run.ManyAsync(Clients, Parallel, i => AddAsync(http, 20_000 + i, ct)), null, 2_500);
        await app.StopAsync(CancellationToken.None);
        return failed;
    }

    /// <summary>Until the index says that nothing stands in for it: Qdrant is compared with the rows before it is asked.</summary>
    private static async Task WholeAsync(HttpClient http, CancellationToken ct)
    {
        while (true)
        {
            using var body = Body("""{"query":"garden","filter":{"userId":"load"}}""");
            using var response = await http.PostAsync(new Uri("/api/memories/search", UriKind.Relative), body, ct);
            response.EnsureSuccessStatusCode();
            var answer = JsonElement.Parse(await response.Content.ReadAsStringAsync(ct));
            if (!answer.TryGetProperty("degraded", out var degraded) || degraded.ValueKind is JsonValueKind.Null)
                return;
            await Task.Delay(100, ct);
        }
    }

    private static IEnumerable<KeyValuePair<string, string?>> Settings(string connection, string? qdrant) =>
    [
        KeyValuePair.Create("ConnectionStrings:agentflow-memory", (string?)connection),
        KeyValuePair.Create("ConnectionStrings:qdrant_http", qdrant),
        KeyValuePair.Create("Logging:LogLevel:Default", (string?)"Warning"),
    ];

    private static async Task AddAsync(HttpClient http, int i, CancellationToken ct)
    {
        using var body = Body($$"""{"text":"{{Text(i)}}","userId":"load","infer":false,"metadata":{"n": {{i}} } }""");
        using var response = await http.PostAsync(new Uri("/api/memories", UriKind.Relative), body, ct);
        response.EnsureSuccessStatusCode();
    }

    private static async Task SearchAsync(HttpClient http, int i, CancellationToken ct)
    {
        using var body = Body($$"""{"query":"{{Words[i % Words.Length]}} {{Words[i * 7 % Words.Length]}} note {{i % Memories}}","filter":{"userId":"load"},"topK":10}""");
        using var response = await http.PostAsync(new Uri("/api/memories/search", UriKind.Relative), body, ct);
        response.EnsureSuccessStatusCode();
        await response.Content.ReadAsByteArrayAsync(ct);
    }

    private static string Text(int i)
    {
        var random = new Random(i);
        var words = Enumerable.Range(0, 12).Select(_ => Words[random.Next(Words.Length)]);
        return string.Create(CultureInfo.InvariantCulture, $"note {i}: {string.Join(' ', words)}");
    }

    private static StringContent Body(string json) => new(json, Encoding.UTF8, "application/json");

    private static int Report(string what, Times result, (double P50, double? P95)? latency, double? rate)
    {
        var (p50, p95) = (result.Ms[result.Ms.Length / 2], result.Ms[(int)(result.Ms.Length * 0.95)]);
        var goal = latency is { } wanted
            ? $"goal p50 {wanted.P50} ms{(wanted.P95 is { } tail ? $", p95 {tail} ms" : string.Empty)}"
            : rate is { } perSecond ? $"goal {perSecond:0}/s" : "no goal";
        Console.WriteLine(
            $"{what,-36} p50 {p50,6:0.00} ms  p95 {p95,6:0.00} ms  {result.PerSecond,7:0}/s  CPU of one: {result.OwnCpuMs:0.00} ms service and client, {result.PostgresCpuMs:0.00} ms Postgres{(result.QdrantCpuMs is { } qdrant ? $", {qdrant:0.00} ms Qdrant" : string.Empty)}  ({goal})");
        return (latency is { } limit && (p50 > limit.P50 || p95 > limit.P95)) || (rate is { } least && result.PerSecond < least) ? 1 : 0;
    }

    /// <param name="Ms">Of each call, ascending.</param>
    /// <param name="OwnCpuMs">Processor time of this process, which is service and client in one, for one call.</param>
    private sealed record Times(double[] Ms, double PerSecond, double OwnCpuMs, double PostgresCpuMs, double? QdrantCpuMs);

    private sealed class Runner(PrivatePostgres postgres, QdrantServer? qdrant)
    {
        internal async Task<Times> ManyAsync(int clients, int count, Func<int, Task> run)
        {
            var next = -1;
            var times = new ConcurrentBag<double>();
            var (own, server, index) = (Environment.CpuUsage.TotalTime, postgres.CpuTime(), qdrant?.CpuTime());
            var started = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(async () =>
            {
                int i;
                while ((i = Interlocked.Increment(ref next)) < count)
                {
                    var before = Stopwatch.GetTimestamp();
                    await run(i);
                    times.Add(Stopwatch.GetElapsedTime(before).TotalMilliseconds);
                }
            })));
            var perSecond = count / Stopwatch.GetElapsedTime(started).TotalSeconds;
            return new Times(
                [.. times.Order()], perSecond, (Environment.CpuUsage.TotalTime - own).TotalMilliseconds / count, (postgres.CpuTime() - server).TotalMilliseconds / count,
                (qdrant?.CpuTime() - index)?.TotalMilliseconds / count);
        }
    }
}
