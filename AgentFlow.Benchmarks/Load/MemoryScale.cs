using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService;
using AgentFlow.MemoryService.Access;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentFlow.Benchmarks.Load;

/// <summary>
/// One owner's searches while the memories of others grow from 10,000 to a million, and the first search of an owner that is not in the
/// cache: <c>load memory-scale [memories]</c>, or only the latter: <c>load memory-scale first [owners]</c>. Owners have 5,000 memories each; rows
/// and vectors are copied into the tables.
/// </summary>
internal static class MemoryScale
{
    private const int OfOwner = 5_000;
    private const int Searches = 1_000;
    private const int ColdOwners = 15;

    /// <summary>Searches, and loads of other owners, before any that count: a service runs for weeks, compiled.</summary>
    private const int WarmSearches = 4_000;
    private const int WarmOwners = 60;

    private static readonly string[] Words =
        "garden tulip kettle harbor violin ledger comet pepper saddle lantern marble orchard pigeon quartz ribbon shovel tunnel umbrella valley walnut anchor".Split(' ');

    public static async Task<int> RunAsync(string[] options, CancellationToken ct)
    {
        var onlyFirst = options.FirstOrDefault() == "first";
        var most = options.Length > (onlyFirst ? 1 : 0) ? int.Parse(options[^1], CultureInfo.InvariantCulture) * (onlyFirst ? OfOwner : 1) : onlyFirst ? 60 * OfOwner : 1_000_000;
        await using var postgres = await PrivatePostgres.StartAsync();
        var connection = await postgres.CreateDatabaseAsync(ct);
        await using var app = MemoryServiceApplication.Build(["--urls", "http://127.0.0.1:0", "--environment", "Production"], builder =>
            builder.Configuration.AddInMemoryCollection(
            [
                KeyValuePair.Create("ConnectionStrings:agentflow-memory", (string?)connection), KeyValuePair.Create("Logging:LogLevel:Default", (string?)"Warning"),
            ]));
        await app.StartAsync(ct);
        var keys = app.Services.GetRequiredService<ApiKeyStore>();
        var address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

        var owners = Enumerable.Range(0, most / OfOwner).Select(_ => Guid.CreateVersion7()).ToArray();
        await FillAsync(connection, owners[..2], ct);
        using var warm = await ClientAsync(keys, address, owners[0], ct);
        await TimesAsync(warm, onlyFirst ? 300 : WarmSearches, ct);
        var growth = await GrowthAsync(warm, () => FillAsync(connection, owners[2..], ct), onlyFirst, most, ct);
        var first = await MeasureFirstAsync(postgres, keys, address, owners[2..], ct);
        await app.StopAsync(CancellationToken.None);
        return growth < 1.5 && first <= 60 ? 0 : 1;
    }

    /// <returns>How many times longer a search takes when the others' memories are there; 0 when it was not asked for.</returns>
    private static async Task<double> GrowthAsync(HttpClient warm, Func<Task> fill, bool isLeftOut, int most, CancellationToken ct)
    {
        if (isLeftOut)
        {
            await fill();
            return 0;
        }

        var few = await TimesAsync(warm, Searches, ct);
        Report($"{2 * OfOwner} memories", few);
        await fill();
        await TimesAsync(warm, 300, ct);
        var many = await TimesAsync(warm, Searches, ct);
        Report($"{most} memories", many);
        var growth = Median(many) / Median(few);
        Console.WriteLine($"search of one owner in the cache grows {growth:0.00} times (goal below 1.5)");
        return growth;
    }

    /// <returns>The median in milliseconds.</returns>
    private static async Task<double> MeasureFirstAsync(PrivatePostgres postgres, ApiKeyStore keys, Uri address, Guid[] unknown, CancellationToken ct)
    {
        await FirstSearchesAsync(keys, address, unknown[..Math.Min(WarmOwners, unknown.Length - ColdOwners)], ct);
        var (processor, paused, allocated, server) = (Environment.CpuUsage.TotalTime, GC.GetTotalPauseDuration(), GC.GetTotalAllocatedBytes(), postgres.CpuTime());
        var (young, old) = (GC.CollectionCount(0), GC.CollectionCount(2));
        var cold = await FirstSearchesAsync(keys, address, unknown[^ColdOwners..], ct);
        Console.WriteLine(
            $"first search of an owner with {OfOwner} memories that is not in the cache: median {Median(cold):0} ms, slowest {cold[^1]:0} ms (goal 60 ms); each "
            + $"{(Environment.CpuUsage.TotalTime - processor).TotalMilliseconds / ColdOwners:0} ms of processor in this process, "
            + $"{(postgres.CpuTime() - server).TotalMilliseconds / ColdOwners:0} ms in Postgres, {GC.CollectionCount(0) - young} collections ({GC.CollectionCount(2) - old} of all), "
            + $"{(GC.GetTotalPauseDuration() - paused).TotalMilliseconds / ColdOwners:0} ms paused for collections, {(GC.GetTotalAllocatedBytes() - allocated) / ColdOwners >> 20} MB allocated");
        return Median(cold);
    }

    private static async Task<List<double>> FirstSearchesAsync(ApiKeyStore keys, Uri address, IReadOnlyList<Guid> owners, CancellationToken ct)
    {
        var times = new List<double>();
        foreach (var owner in owners)
        {
            using var http = await ClientAsync(keys, address, owner, ct);
            times.AddRange(await TimesAsync(http, 1, ct));
        }

        times.Sort();
        return times;
    }

    private static async Task<HttpClient> ClientAsync(ApiKeyStore keys, Uri address, Guid owner, CancellationToken ct)
    {
        var key = await keys.CreateAsync(owner, new NewMemoryKey { Name = "scale", Scopes = ["read"] }, ct);
        var http = new HttpClient { BaseAddress = address };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key.Secret);
        return http;
    }

    internal static async Task<List<double>> TimesAsync(HttpClient http, int count, CancellationToken ct)
    {
        var times = new List<double>(count);
        for (var i = 0; i < count; i++)
        {
            using var body = new StringContent(
                $$"""{"query":"{{Words[i % Words.Length]}} {{Words[i * 7 % Words.Length]}} note {{i}}","filter":{"userId":"scale"},"topK":10}""", Encoding.UTF8, "application/json");
            var before = Stopwatch.GetTimestamp();
            using var response = await http.PostAsync(new Uri("/api/memories/search", UriKind.Relative), body, ct);
            response.EnsureSuccessStatusCode();
            await response.Content.ReadAsByteArrayAsync(ct);
            times.Add(Stopwatch.GetElapsedTime(before).TotalMilliseconds);
        }

        times.Sort();
        return times;
    }

    private static double Median(List<double> times) => times[times.Count / 2];

    private static void Report(string what, List<double> times) =>
        Console.WriteLine($"{what,-20} search p50 {Median(times),6:0.00} ms  p95 {times[times.Count * 95 / 100],6:0.00} ms");

    private static Task FillAsync(string connection, IReadOnlyList<Guid> owners, CancellationToken ct) => FillAsync(connection, owners, OfOwner, ct);

    internal static async Task FillAsync(string connection, IReadOnlyList<Guid> owners, int count, CancellationToken ct)
    {
        await using var database = new NpgsqlConnection(connection);
        await database.OpenAsync(ct);
        foreach (var owner in owners)
        {
            var ids = Enumerable.Range(0, count).Select(_ => Guid.CreateVersion7()).ToArray();
            await CopyRowsAsync(database, owner, ids, ct);
            await CopyVectorsAsync(database, owner, ids, ct);
        }

        await using var analyze = new NpgsqlCommand("analyze agentflow_memory.memories; analyze agentflow_memory.memory_embeddings", database) { CommandTimeout = 300 };
        await analyze.ExecuteNonQueryAsync(ct);
    }

    private static async Task CopyRowsAsync(NpgsqlConnection database, Guid owner, Guid[] ids, CancellationToken ct)
    {
        await using var rows = await database.BeginBinaryImportAsync(
            "copy agentflow_memory.memories (id, owner_id, user_id, subject_hash, kind, text, content_hash, trust, created_at, updated_at, valid_from) from stdin (format binary)", ct);
        var subject = SHA256.HashData("scale"u8);
        var now = DateTime.UtcNow;
        for (var i = 0; i < ids.Length; i++)
        {
            var text = Text(i);
            await rows.StartRowAsync(ct);
            await rows.WriteAsync(ids[i], ct);
            await rows.WriteAsync(owner, ct);
            await rows.WriteAsync("scale", ct);
            await rows.WriteAsync(subject, ct);
            await rows.WriteAsync((short)MemoryKind.Fact, ct);
            await rows.WriteAsync(text, ct);
            await rows.WriteAsync(SHA256.HashData(Encoding.UTF8.GetBytes(text)), ct);
            await rows.WriteAsync((short)MemoryTrust.User, ct);
            await rows.WriteAsync(now, ct);
            await rows.WriteAsync(now, ct);
            await rows.WriteAsync(now, ct);
        }

        await rows.CompleteAsync(ct);
    }

    private static async Task CopyVectorsAsync(NpgsqlConnection database, Guid owner, Guid[] ids, CancellationToken ct)
    {
        await using var vectors = await database.BeginBinaryImportAsync(
            "copy agentflow_memory.memory_embeddings (memory_id, model, owner_id, vector) from stdin (format binary)", ct);
        for (var i = 0; i < ids.Length; i++)
        {
            await vectors.StartRowAsync(ct);
            await vectors.WriteAsync(ids[i], ct);
            await vectors.WriteAsync(HashingEmbeddingGenerator.Space.Model, ct);
            await vectors.WriteAsync(owner, ct);
            await vectors.WriteAsync(MemoryMarshal.AsBytes(HashingEmbeddingGenerator.Embed(Text(i)).AsSpan()).ToArray(), ct);
        }

        await vectors.CompleteAsync(ct);
    }

    private static string Text(int i)
    {
        var random = new Random(i);
        return string.Create(CultureInfo.InvariantCulture, $"note {i}: {string.Join(' ', Enumerable.Range(0, 12).Select(_ => Words[random.Next(Words.Length)]))}");
    }
}
