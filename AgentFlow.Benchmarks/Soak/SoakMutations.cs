using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using AgentFlow.Benchmarks.Load;
using AgentFlow.Tests.Support;

namespace AgentFlow.Benchmarks.Soak;

/// <summary>
/// Spoiled requests against the API as a process of its own: it must live, answer nothing with an undeclared 5xx, and give its memory back.
/// <c>-- soak mutations [count] [seed]</c>
/// </summary>
internal static class SoakMutations
{
    private const int Workers = 4;

    /// <summary>Before the first look at memory: what every route needs is loaded, compiled and pooled by then.</summary>
    private const int WarmUpShare = 5;

    /// <summary>Requests from which on memory is held to its goal; caches and pools are still being filled before.</summary>
    private const int Enough = 100_000;

    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(45);

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var count = options.Length > 0 ? int.Parse(options[0], CultureInfo.InvariantCulture) : 200_000;
        var seed = options.Length > 1 ? int.Parse(options[1], CultureInfo.InvariantCulture) : 20_261_121;
        var figures = new Figures();
        await using var postgres = await PrivatePostgres.StartAsync();
        var keys = $"k1:{Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))}";
        await using var memory = await BareMemory.StartAsync(await postgres.CreateDatabaseAsync(ct), ct, ("Auth:Keys", keys));
        await using var api = await ApiProcess.StartAsync(
            await postgres.CreateDatabaseAsync(ct),
            new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["Auth:Keys"] = keys, ["services:memory:http:0"] = memory.Address.ToString(), ["Limits:UploadsPerMinute"] = "1000000", ["Limits:AnonymousPerMinute"] = "10000000",
                ["Auth:AccessTokenLifetime"] = "01:00:00",
            },
            ct);
        using var client = api.Client();
        var document = JsonElement.Parse(await client.GetStringAsync("/openapi/v1.json", ct));
        var statuses = new ConcurrentDictionary<int, int>();
        var failures = new ConcurrentQueue<string>();
        var id = api.Id;
        var started = Stopwatch.GetTimestamp();
        await SendAsync(client, document, count / WarmUpShare, seed, statuses, failures, ct);
        var before = await SettledAsync(api, ct);
        await SendAsync(client, document, count - (count / WarmUpShare), seed + 1_000, statuses, failures, ct);
        var sent = Stopwatch.GetElapsedTime(started);
        var peak = api.ResidentBytes();
        var after = await SettledAsync(api, ct);

        Console.WriteLine($"seed {seed}, {count} requests in {sent.TotalSeconds:0} s; answers: {string.Join(", ", statuses.OrderBy(pair => pair.Key).Select(pair => $"{pair.Value} x {pair.Key}"))}");
        foreach (var failure in failures.Take(40))
            Console.WriteLine(failure);
        figures.Report("answers of 503, as from services that were away", statuses.GetValueOrDefault(503), "", atMost: count / 1_000);
        figures.Report("answers of 5xx other than 502, 503, 504, 507, and answers that never came", failures.Count, "", atMost: 0);
        figures.Report("process exits", api.Id == id && await IsServingAsync(client, ct) ? 0 : 1, "", atMost: 0);
        figures.Report("resident memory after a fifth of them, quiet", before / 1e6, "MB");
        figures.Report("resident memory right after the last", peak / 1e6, "MB");
        figures.Report("resident memory at the end, quiet", after / 1e6, "MB", atMost: count >= Enough ? before / 1e6 * 1.1 : null);
        return figures.ExitCode;
    }

    private static Task SendAsync(
        HttpClient client, JsonElement document, int count, int seed, ConcurrentDictionary<int, int> statuses, ConcurrentQueue<string> failures, CancellationToken ct) =>
        Task.WhenAll(Enumerable.Range(0, Workers).Select(worker => Task.Run(
            async () =>
            {
                // Not what would end the one session that all of them use.
                var mutations = new RequestMutations(document, seed + worker, path => !path.Contains("/auth/logout", StringComparison.Ordinal) && path != "/api/auth/me/erase");
                for (var i = worker; i < count; i += Workers)
                    await SendAsync(client, mutations.Next(), $"{seed + worker}:{i}", statuses, failures, ct);
            },
            ct)));

    private static async Task SendAsync(
        HttpClient client, Mutation mutation, string number, ConcurrentDictionary<int, int> statuses, ConcurrentQueue<string> failures, CancellationToken ct)
    {
        using var request = mutation.ToRequest();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        try
        {
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            var status = (int)response.StatusCode;
            statuses.AddOrUpdate(status, 1, static (_, sum) => sum + 1);
            if (status is >= 500 and not (502 or 503 or 504 or 507))
                failures.Enqueue($"{number}: {mutation} -> {status} {await response.Content.ReadAsStringAsync(limit.Token)}");
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException or UriFormatException && !ct.IsCancellationRequested)
        {
            failures.Enqueue($"{number}: {mutation} -> {error.GetType().Name} {error.Message}");
        }
    }

    /// <summary>The least that it held while nobody asked for anything.</summary>
    private static async Task<double> SettledAsync(ApiProcess api, CancellationToken ct)
    {
        var since = Stopwatch.GetTimestamp();
        var least = double.MaxValue;
        while (Stopwatch.GetElapsedTime(since) < Quiet)
        {
            least = Math.Min(least, api.ResidentBytes());
            await Task.Delay(500, ct);
        }

        return least;
    }

    private static async Task<bool> IsServingAsync(HttpClient client, CancellationToken ct)
    {
        using var response = await client.GetAsync("/health", ct);
        return response.IsSuccessStatusCode;
    }
}
