using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Benchmarks.Load;

/// <summary>
/// One question, one JSON answer: over a thousand chunks with the built-in model, two hundred at once before a slow provider, and with
/// a pool that is exhausted. The API is a process of its own; client, provider and Postgres share its cores.
/// </summary>
internal static class ChatLoad
{
    /// <summary>Until the runtime has compiled what is called often.</summary>
    private const int WarmUp = 1_000;

    private const int Queries = 1_000;
    private const int AtOnce = 200;

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var figures = new Figures();
        await using var postgres = await PrivatePostgres.StartAsync(durable: true);
        await BuiltInAsync(postgres, figures, ct);
        await SlowProviderAsync(postgres, figures, ct);
        await ExhaustedPoolAsync(postgres, figures, ct);
        return figures.ExitCode;
    }

    private static async Task BuiltInAsync(PrivatePostgres postgres, Figures figures, CancellationToken ct)
    {
        await using var api = await ApiProcess.StartAsync(await postgres.CreateDatabaseAsync(ct), new Dictionary<string, string> { ["Models:Extractive:WordsPerSecond"] = "0" }, ct);
        using var client = api.Client();
        var chunks = await UploadAsync(client, ct);
        await AskAllAsync(client, WarmUp, ct);
        var times = await AskAllAsync(client, Queries, ct);
        figures.Report("chunks", chunks, "", atLeast: 1_000);
        figures.Report("query, built-in model, p50", Figures.Percentile(times, 50), "ms", atMost: 8);
        figures.Report("query, built-in model, p95", Figures.Percentile(times, 95), "ms");
    }

    private static async Task<List<double>> AskAllAsync(HttpClient client, int count, CancellationToken ct)
    {
        var times = new List<double>();
        for (var i = 0; i < count; i++)
        {
            var started = Stopwatch.GetTimestamp();
            using var response = await client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = $"What does section {i % 50} say about pressure?", TopK = 3 }, ContractJson.Options, ct);
            var answer = await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<QueryAnswer>(ContractJson.Lenient, ct);
            times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            if (answer!.Chunks.Count == 0)
                throw new InvalidOperationException("Nothing was recalled.");
        }

        return times;
    }

    /// <summary>Twenty documents of fifty sections each.</summary>
    private static async Task<int> UploadAsync(HttpClient client, CancellationToken ct)
    {
        var ids = new List<string>();
        for (var document = 0; document < 20; document++)
        {
            var text = new StringBuilder();
            for (var section = 0; section < 52; section++)
            {
                text.Append($"# Section {section} of manual {document}\n\n");
                for (var sentence = 0; sentence < 14; sentence++)
                    text.Append($"Valve {document}-{section}-{sentence} holds a pressure of {(section * 7) + sentence} bar while pump {sentence} runs and the tank is at level {document}. ");
                text.Append("\n\n");
            }

            using var form = new MultipartFormDataContent { { new ByteArrayContent(Encoding.UTF8.GetBytes(text.ToString())), "file", $"manual{document}.md" } };
            using var response = await client.PostAsync("/api/documents", form, ct);
            var created = JsonElement.Parse(await response.EnsureSuccessStatusCode().Content.ReadAsStringAsync(ct));
            ids.Add(created.GetProperty("items")[0].GetProperty("id").GetString()!);
        }

        var chunks = 0;
        foreach (var id in ids)
        {
            JsonElement document;
            while ((document = JsonElement.Parse(await client.GetStringAsync($"/api/documents/{id}", ct))).GetProperty("status").GetString() != "ready")
            {
                if (document.GetProperty("status").GetString() == "failed")
                    throw new InvalidOperationException(document.ToString());
                await Task.Delay(100, ct);
            }

            chunks += document.GetProperty("chunks").GetInt32();
        }

        return chunks;
    }

    private static async Task SlowProviderAsync(PrivatePostgres postgres, Figures figures, CancellationToken ct)
    {
        await using var provider = await ScriptedProvider.StartAsync();
        provider.KeepsRequests = false;
        provider.Respond = _ => Script.Say(TimeSpan.FromSeconds(5), TimeSpan.Zero, "slow", " answer");
        await using var api = await ApiProcess.StartAsync(await postgres.CreateDatabaseAsync(ct), StreamLoad.Settings(provider), ct);
        using var client = api.Client();
        using var probing = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var probes = ProbeHealthAsync(api, probing.Token);
        var started = Stopwatch.GetTimestamp();
        var statuses = await Task.WhenAll(Enumerable.Range(0, AtOnce).Select(async _ =>
        {
            using var response = await client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = "slow?" }, ContractJson.Options, ct);
            return response.StatusCode;
        }));
        var elapsed = Stopwatch.GetElapsedTime(started);
        await probing.CancelAsync();
        figures.Report("200 queries at once, provider answers after 5 s: answered", statuses.Count(status => status == HttpStatusCode.OK), "", atLeast: AtOnce);
        figures.Report("200 queries at once: all within", elapsed.TotalSeconds, "s", atMost: 7);
        figures.Report("/health meanwhile, p99", Figures.Percentile(await probes, 99), "ms", atMost: 100);
    }

    private static async Task<List<double>> ProbeHealthAsync(ApiProcess api, CancellationToken ct)
    {
        using var client = api.Client();
        var times = new List<double>();
        while (!ct.IsCancellationRequested)
        {
            var started = Stopwatch.GetTimestamp();
            try
            {
                using var response = await client.GetAsync("/health", ct);
                times.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
                await Task.Delay(10, ct);
            }
            catch (OperationCanceledException)
            {
                break;
            }
        }

        return times;
    }

    /// <summary>Two connections, both waiting for a lock: everybody else is told to come back, and nothing fails otherwise.</summary>
    private static async Task ExhaustedPoolAsync(PrivatePostgres postgres, Figures figures, CancellationToken ct)
    {
        var database = await postgres.CreateDatabaseAsync(ct);
        await using var api = await ApiProcess.StartAsync(
            database, new Dictionary<string, string> { ["Postgres:MaxPoolSize"] = "2", ["Postgres:ConnectionTimeout"] = "00:00:01", ["Postgres:CommandTimeout"] = "00:00:04" }, ct);
        using var client = api.Client();
        await using var holder = new NpgsqlConnection(database);
        await holder.OpenAsync(ct);
        await using var transaction = await holder.BeginTransactionAsync(ct);
        await using (var hold = new NpgsqlCommand("lock table agentflow_api.conversations in access exclusive mode", holder, transaction))
            await hold.ExecuteNonQueryAsync(ct);
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ =>
        {
            using var response = await client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = "anybody?" }, ContractJson.Options, ct);
            return (response.StatusCode, HasRetryAfter: response.Headers.RetryAfter is not null);
        }));
        await transaction.RollbackAsync(ct);
        using var after = await client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = "anybody?" }, ContractJson.Options, ct);
        figures.Report("exhausted pool: 503 with Retry-After, of 20", answers.Count(a => a is { StatusCode: HttpStatusCode.ServiceUnavailable, HasRetryAfter: true }), "", atLeast: 20);
        figures.Report("after it: answered", after.IsSuccessStatusCode ? 1 : 0, "", atLeast: 1);
    }
}
