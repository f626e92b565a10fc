using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;

namespace AgentFlow.Tests.Support;

/// <summary>What a soak of streams found; everything but the counts of what was done must be 0.</summary>
/// <param name="Broken">Places where a client's events were not the log's prefix: lost, repeated, reordered or altered.</param>
/// <param name="WithoutOneEnd">Runs whose log has not exactly one terminal event.</param>
internal sealed record StreamSoakResult(int Runs, int Cuts, int Kills, int Completed, int Interrupted, int Broken, int WithoutOneEnd)
{
    public bool IsSound => Broken == 0 && WithoutOneEnd == 0;
}

/// <summary>
/// Clients that read answers, are cut at random bytes and resume by <c>Last-Event-ID</c>, while every tenth cut kills the whole API.
/// What a client received must at all times be a prefix of the log, and equal to it, byte for byte, after the end.
/// </summary>
internal sealed class StreamSoak(ApiProcess api, int cuts, int seed)
{
    private const int Clients = 8;
    private const int CutsPerKill = 10;

    private readonly SemaphoreSlim restart = new(1, 1);
    private int done;
    private int runs;
    private int kills;
    private int completed;
    private int interrupted;
    private int broken;
    private int withoutOneEnd;

    /// <param name="connectionString">An empty database.</param>
    public static async Task<StreamSoakResult> RunAsync(string connectionString, int cuts, int seed, CancellationToken ct)
    {
        await using var provider = await ScriptedProvider.StartAsync();
        provider.KeepsRequests = false;
        provider.Respond = _ => Script.Say(TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(4), [.. Enumerable.Range(0, 50).Select(i => $"word{i} ünï ")]);
        await using var api = await ApiProcess.StartAsync(
            connectionString,
            new Dictionary<string, string>
            {
                ["Models:Providers:0:Endpoint"] = provider.Endpoint.ToString(), ["Models:Providers:0:Model"] = "scripted", ["Models:Providers:0:ApiKey"] = "k",
                ["Runs:Lease"] = "00:00:02", ["Runs:Heartbeat"] = "00:00:00.3",
            },
            ct);
        return await new StreamSoak(api, cuts, seed).RunAsync(ct);
    }

    private async Task<StreamSoakResult> RunAsync(CancellationToken ct)
    {
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(i => ClientAsync(new Random(unchecked((seed * 397) + i)), ct)));
        return new(runs, done, kills, completed, interrupted, broken, withoutOneEnd);
    }

    private async Task ClientAsync(Random random, CancellationToken ct)
    {
        using var client = api.Client();
        bool isLast;
        do
        {
            // The last run begins when nothing is cut any more: on a slow machine it may be the first that completes.
            isLast = Volatile.Read(ref done) >= cuts;
            var received = await FollowAsync(client, random, ct);
            await CompareAsync(client, received, ct);
        }
        while (!isLast);
    }

    /// <summary>Asks once and reads to the run's end, over as many connections as it takes.</summary>
    private async Task<List<(string Id, string Data)>> FollowAsync(HttpClient client, Random random, CancellationToken ct)
    {
        Interlocked.Increment(ref runs);
        var key = $"soak-{Guid.NewGuid():N}";
        var received = new List<(string Id, string Data)>();
        while (true)
        {
            var willCut = Volatile.Read(ref done) < cuts;
            var budget = willCut ? random.Next(1, 6_000) : int.MaxValue;
            try
            {
                using var request = received.Count == 0 ? Ask(key) : Resume(received[^1].Id);
                using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
                if (response.StatusCode is HttpStatusCode.ServiceUnavailable or HttpStatusCode.InternalServerError)
                    throw new HttpRequestException("not now");
                response.EnsureSuccessStatusCode();
                if (await ReadAsync(response, received, budget, ct))
                    return received;
            }
            catch (Exception error) when (error is HttpRequestException or IOException)
            {
                await Task.Delay(random.Next(20, 100), ct);
                continue;
            }

            await CutAsync(ct);
        }
    }

    /// <returns>True at the run's end, false when the budget of bytes was used up.</returns>
    private static async Task<bool> ReadAsync(HttpResponseMessage response, List<(string Id, string Data)> received, int budget, CancellationToken ct)
    {
        await using var stream = await response.Content.ReadAsStreamAsync(ct);
        var pending = new List<byte>();
        var buffer = new byte[512];
        while (budget > 0)
        {
            var read = await stream.ReadAsync(buffer.AsMemory(0, Math.Min(buffer.Length, budget)), ct);
            if (read == 0)
                throw new IOException("The stream ended without a terminal event.");
            budget -= read;
            pending.AddRange(buffer.AsSpan(0, read));
            if (Take(pending, received))
                return true;
        }

        return false;
    }

    /// <summary>Moves whole events over; half of one is thrown away with the connection.</summary>
    private static bool Take(List<byte> pending, List<(string Id, string Data)> received)
    {
        while (true)
        {
            var bytes = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(pending);
            var end = bytes.IndexOf("\n\n"u8);
            if (end < 0)
                return false;
            var lines = Encoding.UTF8.GetString(bytes[..end]).Split('\n');
            pending.RemoveRange(0, end + 2);
            if (lines.Length < 3)
                continue;
            received.Add((lines[0]["id: ".Length..], lines[2]["data: ".Length..]));
            if (IsTerminal(lines[1]["event: ".Length..]))
                return true;
        }
    }

    private async Task CutAsync(CancellationToken ct)
    {
        if (Interlocked.Increment(ref done) % CutsPerKill != 0)
            return;
        await restart.WaitAsync(ct);
        try
        {
            await api.KillAsync(ct);
            Interlocked.Increment(ref kills);
            await api.StartAsync(ct);
        }
        finally
        {
            restart.Release();
        }
    }

    private async Task CompareAsync(HttpClient client, List<(string Id, string Data)> received, CancellationToken ct)
    {
        var log = new List<(string Id, string Data)>();
        while (log.Count == 0)
        {
            try
            {
                var run = received[0].Id[..received[0].Id.IndexOf('.', StringComparison.Ordinal)];
                using var response = await client.GetAsync($"/api/runs/{run}/events?after=0", ct);
                response.EnsureSuccessStatusCode();
                Take([.. await response.Content.ReadAsByteArrayAsync(ct)], log);
            }
            catch (Exception error) when (error is HttpRequestException or IOException)
            {
                log.Clear();
                await Task.Delay(50, ct);
            }
        }

        if (!log.SequenceEqual(received) || !log.Select((evt, i) => evt.Id.EndsWith($".{i + 1}", StringComparison.Ordinal)).All(isNext => isNext))
            Interlocked.Increment(ref broken);
        var ends = log.Select(evt => TypeOf(evt.Data)).Where(IsTerminal).ToArray();
        if (ends.Length != 1)
            Interlocked.Increment(ref withoutOneEnd);
        Interlocked.Increment(ref ends is ["run.completed"] ? ref completed : ref interrupted);
    }

    private static bool IsTerminal(string type) => type is "run.completed" or "run.failed" or "run.cancelled" or "run.interrupted";

    private static string TypeOf(string data) => JsonElement.Parse(data).GetProperty("type").GetString()!;

    private static HttpRequestMessage Ask(string key)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, "/api/chat")
        {
            Content = JsonContent.Create(new ChatRequest { Message = "Say fifty words." }, options: ContractJson.Options),
        };
        request.Headers.Add("Idempotency-Key", key);
        return request;
    }

    private static HttpRequestMessage Resume(string lastEventId)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, $"/api/runs/{lastEventId[..lastEventId.IndexOf('.', StringComparison.Ordinal)]}/events");
        request.Headers.Add("Last-Event-ID", lastEventId);
        return request;
    }
}
