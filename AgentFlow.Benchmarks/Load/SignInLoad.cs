using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.Contracts.Chat;
using AgentFlow.Tests.Support;

namespace AgentFlow.Benchmarks.Load;

/// <summary>
/// 200 wrong sign-ins a second, each from another address and to another account so that no throttle answers for the hasher, while somebody
/// chats: what that costs the chat, and us. The attack comes from this process, on the same cores. <c>-- load signin [rate]</c>
/// </summary>
internal static class SignInLoad
{
    private const int Questions = 300;

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var rate = options.Length > 0 ? int.Parse(options[0], CultureInfo.InvariantCulture) : 200;
        var figures = new Figures();
        await using var postgres = await PrivatePostgres.StartAsync();
        await using var api = await ApiProcess.StartAsync(
            await postgres.CreateDatabaseAsync(ct),
            new Dictionary<string, string> { ["Models:Extractive:WordsPerSecond"] = "0", ["Edges:TrustedProxies:0"] = "127.0.0.1" },
            ct);
        using var client = api.Client();
        await AskAsync(client, 100, ct);
        var idle = await AskAsync(client, Questions, ct);

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        using var attacker = new Attack(api.Address, rate);
        var attack = attacker.RunAsync(stop.Token);
        var processor = api.ProcessorTime();
        var since = Stopwatch.GetTimestamp();
        await AskAsync(client, 30, ct);
        var attacked = await AskAsync(client, Questions, ct);
        while (Stopwatch.GetElapsedTime(since) < TimeSpan.FromSeconds(15))
            attacked.AddRange(await AskAsync(client, 20, ct));
        var elapsed = Stopwatch.GetElapsedTime(since);
        var cores = (api.ProcessorTime() - processor) / elapsed;
        await stop.CancelAsync();
        var answers = await attack;

        Console.WriteLine($"sign-ins: {string.Join(", ", answers.GroupBy(status => status).OrderBy(group => group.Key).Select(group => $"{group.Count()} x {(int)group.Key}"))} in {elapsed.TotalSeconds:0} s");
        var (before, during) = (Figures.Percentile(idle, 95), Figures.Percentile(attacked, 95));
        figures.Report("wrong sign-ins answered a second", answers.Count / elapsed.TotalSeconds, "/s", atLeast: rate * 0.9);
        figures.Report("answers other than 401 and 429", answers.Count(status => status is not (HttpStatusCode.Unauthorized or HttpStatusCode.TooManyRequests)), "", atMost: 0);
        figures.Report("processor time of the API meanwhile, chat included", cores, "cores");
        figures.Report("chat p95, idle", before, "ms");
        figures.Report("chat p95, under attack", during, "ms");
        figures.Report("ratio", during / before, "", atMost: 2);
        return figures.ExitCode;
    }

    private static async Task<List<double>> AskAsync(HttpClient client, int count, CancellationToken ct)
    {
        var times = new List<double>();
        for (var i = 0; i < count; i++)
        {
            var started = Stopwatch.GetTimestamp();
            using var response = await client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = $"What is {i} times 7?" }, ContractJson.Options, ct);
            response.EnsureSuccessStatusCode();
            times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }

        return times;
    }

    /// <summary>Asks at its rate, whether it is answered or not; every account and address once.</summary>
    private sealed class Attack(Uri address, int rate) : IDisposable
    {
        private readonly HttpClient client = new(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = address };

        public async Task<List<HttpStatusCode>> RunAsync(CancellationToken ct)
        {
            using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
            var attempts = new List<Task<HttpStatusCode?>>();
            var since = Stopwatch.GetTimestamp();
            try
            {
                while (await timer.WaitForNextTickAsync(ct))
                {
                    while (attempts.Count < Stopwatch.GetElapsedTime(since).TotalSeconds * rate)
                        attempts.Add(TryAsync(attempts.Count, ct));
                }
            }
            catch (OperationCanceledException)
            {
                // The measurement is over.
            }

            return [.. (await Task.WhenAll(attempts)).OfType<HttpStatusCode>()];
        }

        public void Dispose() => client.Dispose();

        private async Task<HttpStatusCode?> TryAsync(int number, CancellationToken ct)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/auth/login")
            {
                Content = JsonContent.Create(new LoginRequest { Email = $"victim{number}@example.test", Password = "this is a guess" }, options: ContractJson.Options),
            };
            request.Headers.Add("X-Forwarded-For", string.Create(CultureInfo.InvariantCulture, $"198.{18 + (number >> 16 & 1)}.{number >> 8 & 255}.{number & 255}"));
            try
            {
                using var response = await client.SendAsync(request, ct);
                return response.StatusCode;
            }
            catch (OperationCanceledException)
            {
                return null;
            }
        }
    }
}
