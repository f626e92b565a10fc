using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Memories;
using Npgsql;

namespace AgentFlow.Tests.Support;

/// <summary>What a rolling restart did to its clients. <see cref="IsSound"/> says whether nobody was let down.</summary>
/// <param name="Retried">Requests that needed more than one try.</param>
/// <param name="MostTries">Of the request that needed the most.</param>
/// <param name="Failed">Requests without an answer after all their tries.</param>
/// <param name="Resumed">Connections of streams that went on after a cut.</param>
/// <param name="Interrupted">Answers that were closed early, and said so, because their process was stopped.</param>
/// <param name="Broken">Streams whose events are not exactly the run's log.</param>
/// <param name="Doubled">Things that one request made and that are there more than once, or not at all.</param>
/// <param name="Unclean">Replicas that did not end with code 0.</param>
internal sealed record RollingResult(
    int Restarts, int Requests, int Retried, int MostTries, int Failed, int Streams, int Resumed, int Interrupted, int Broken, int Doubled, int Unclean, IReadOnlyCollection<string> Faults)
{
    public bool IsSound => Failed + Broken + Doubled + Unclean == 0;
}

/// <summary>
/// Restarts replicas one after the other under a steady mix of requests: streams, questions, lists, memories, uploads and pages. Clients
/// do what client libraries do: they try again after a broken connection, 409, 429, 502, 503 or 504, with the same Idempotency-Key, and
/// resume a stream by its last event.
/// </summary>
internal sealed class RollingSoak(TwoReplicas replicas, RollingPlan plan) : IDisposable
{
    private readonly HttpClient _api = replicas.Client(replicas.Api);
    private readonly HttpClient _web = replicas.Client(replicas.Web);
    private readonly ConcurrentQueue<string> _faults = new();
    private readonly ConcurrentQueue<string> _memories = new();
    private readonly ConcurrentQueue<string> _documents = new();
    private int _requests;
    private int _retried;
    private int _mostTries;
    private int _failed;
    private int _streams;
    private int _resumed;
    private int _interrupted;
    private int _broken;
    private int _chats;

    public void Dispose()
    {
        _api.Dispose();
        _web.Dispose();
    }

    public async Task<RollingResult> RunAsync(string apiDatabase, string memoryDatabase, CancellationToken ct)
    {
        using var loading = CancellationTokenSource.CreateLinkedTokenSource(ct);
        var load = LoadAsync(loading.Token, ct);
        var unclean = 0;
        foreach (var (service, replica) in plan.Restarts)
        {
            await Task.Delay(plan.Settle, ct);
            var code = await replicas.RestartAsync(service, replica, ct);
            if (code != 0)
            {
                unclean++;
                _faults.Enqueue($"{service} {replica} ended with {code}");
            }
        }

        await Task.Delay(plan.Settle, ct);
        await loading.CancelAsync();
        await load;
        var doubled = await DoubledAsync(apiDatabase, memoryDatabase, ct);
        return new RollingResult(
            plan.Restarts.Count, _requests, _retried, _mostTries, _failed, _streams, _resumed, _interrupted, _broken, doubled, unclean, [.. _faults]);
    }

    /// <summary>Starts requests at a steady pace, whatever becomes of the earlier ones, and waits for the last.</summary>
    private async Task LoadAsync(CancellationToken stop, CancellationToken ct)
    {
        var started = new List<Task>();
        using var pace = new PeriodicTimer(TimeSpan.FromSeconds(1.0 / plan.RequestsPerSecond));
        try
        {
            for (var i = 0; await pace.WaitForNextTickAsync(stop); i++)
            {
                // Its own: the loop's variable may have moved on before a busy machine starts the request, and two would share a key.
                var number = i;
                started.Add(Task.Run(() => OneAsync(number, ct), ct));
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Enough.
        }

        await Task.WhenAll(started);
    }

    private Task OneAsync(int number, CancellationToken ct) => (number % 10) switch
    {
        0 or 5 => StreamAsync($"stream-{number}", ct),
        1 => AskAsync(number, ct),
        2 => AddMemoryAsync(number, ct),
        3 => number % 50 == 3 ? UploadAsync(number, ct) : ListAsync("/api/documents", ct),
        4 or 8 => PageAsync(ct),
        6 => ListAsync("/api/memories", ct),
        _ => ListAsync("/api/chat", ct),
    };

    private async Task AskAsync(int number, CancellationToken ct)
    {
        Interlocked.Increment(ref _chats);
        await SendAsync(_api, () => Post("/api/v1/chat/query", JsonContent.Create(new QueryRequest { Question = "Say something." }, options: ContractJson.Options), $"ask-{number}"), ct);
    }

    private Task ListAsync(string path, CancellationToken ct) => SendAsync(_api, () => new HttpRequestMessage(HttpMethod.Get, path), ct);

    private Task PageAsync(CancellationToken ct) => SendAsync(_web, () => new HttpRequestMessage(HttpMethod.Get, "/sign-in"), ct);

    private async Task AddMemoryAsync(int number, CancellationToken ct)
    {
        var text = $"Fact {number} of {Guid.NewGuid():N}";
        if (await SendAsync(_api, () => Post("/api/memories", JsonContent.Create(new AddMemoryRequest { Text = text, Infer = false }, options: ContractJson.Options), $"memory-{number}"), ct))
            _memories.Enqueue(text);
    }

    private async Task UploadAsync(int number, CancellationToken ct)
    {
        var name = $"note-{number}.txt";
        var isKept = await SendAsync(
            _api,
            () => Post("/api/documents", new MultipartFormDataContent { { new ByteArrayContent(Encoding.UTF8.GetBytes($"Note {number}: {Guid.NewGuid():N}")), "file", name } }, key: null),
            ct);
        if (isKept)
            _documents.Enqueue(name);
    }

    private static HttpRequestMessage Post(string path, HttpContent content, string? key)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = content };
        if (key is not null)
            request.Headers.Add("Idempotency-Key", key);
        return request;
    }

    private async Task<bool> SendAsync(HttpClient client, Func<HttpRequestMessage> make, CancellationToken ct)
    {
        Interlocked.Increment(ref _requests);
        for (var attempt = 1; ; attempt++)
        {
            using var request = make();
            var fault = await TryAsync(client, request, ct);
            if (fault is null)
            {
                Count(attempt);
                return true;
            }

            if (attempt >= plan.Tries || !fault.Value.MayRetry)
            {
                Interlocked.Increment(ref _failed);
                _faults.Enqueue($"{request.Method} {request.RequestUri}, try {attempt}: {fault.Value.What}");
                return false;
            }

            await PauseAsync(attempt, ct);
        }
    }

    private void Count(int attempts)
    {
        if (attempts > 1)
            Interlocked.Increment(ref _retried);
        for (var seen = _mostTries; attempts > seen && Interlocked.CompareExchange(ref _mostTries, attempts, seen) != seen; seen = _mostTries)
        {
            // Somebody else counted meanwhile.
        }
    }

    /// <summary>As the OpenAI client waits: 0.5 s, doubling, with jitter.</summary>
    private static Task PauseAsync(int attempt, CancellationToken ct) =>
        Task.Delay(TimeSpan.FromMilliseconds(Math.Min(500 * (1 << Math.Min(attempt - 1, 4)), 4_000) * (0.75 + (Random.Shared.NextDouble() / 4))), ct);

    private static async Task<(string What, bool MayRetry)?> TryAsync(HttpClient client, HttpRequestMessage request, CancellationToken ct)
    {
        try
        {
            using var response = await client.SendAsync(request, ct);
            var status = (int)response.StatusCode;
            return status < 400 ? null : ($"{status} {Short(await response.Content.ReadAsStringAsync(ct))}", status is 409 or 429 or 502 or 503 or 504);
        }
        catch (Exception cut) when (cut is HttpRequestException or IOException)
        {
            return (cut.Message, true);
        }
    }

    /// <summary>One answer, over as many connections as it takes; then it is compared with the log.</summary>
    private async Task StreamAsync(string key, CancellationToken ct)
    {
        Interlocked.Increment(ref _requests);
        Interlocked.Increment(ref _streams);
        Interlocked.Increment(ref _chats);
        var received = new List<(string Id, string Data)>();
        var failures = 0;
        while (received.Count == 0 || !IsTerminal(received[^1].Data))
        {
            var before = received.Count;
            var what = await ReadAsync(received.Count == 0 ? Post("/api/chat", JsonContent.Create(new ChatRequest { Message = "Say forty words." }, options: ContractJson.Options), key) : Resume(received[^1].Id), received, ct);
            if (received.Count > 0 && IsTerminal(received[^1].Data))
                break;
            failures = received.Count > before ? 1 : failures + 1;
            if (failures >= plan.Tries)
            {
                Interlocked.Increment(ref _failed);
                _faults.Enqueue($"{key} after {received.Count} events: {what}");
                return;
            }

            Interlocked.Increment(ref _resumed);
            await PauseAsync(failures, ct);
        }

        Count(failures + 1);
        if (TypeOf(received[^1].Data) == "run.interrupted")
            Interlocked.Increment(ref _interrupted);
        await CompareAsync(key, received, ct);
    }

    private async Task CompareAsync(string key, List<(string Id, string Data)> received, CancellationToken ct)
    {
        var log = new List<(string Id, string Data)>();
        for (var attempt = 1; log.Count == 0 || !IsTerminal(log[^1].Data); attempt++)
        {
            log.Clear();
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/runs/{RunOf(received[0].Id)}/events?after=0");
            var what = await ReadAsync(request, log, ct);
            if (attempt >= plan.Tries * 2)
            {
                _faults.Enqueue($"{key}: its log can not be read: {what}");
                break;
            }
        }

        if (log.SequenceEqual(received))
            return;
        Interlocked.Increment(ref _broken);
        _faults.Enqueue($"{key}: received {received.Count} events, the log has {log.Count}");
    }

    /// <returns>What ended the connection, where the answer did not.</returns>
    private async Task<string> ReadAsync(HttpRequestMessage request, List<(string Id, string Data)> received, CancellationToken ct)
    {
        using (request)
        {
            try
            {
                using var response = await _api.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
                if (!response.IsSuccessStatusCode)
                    return $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(ct)}";
                using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(ct));
                var (id, type) = ("", "");
                while (await reader.ReadLineAsync(ct) is { } line)
                {
                    if (line.StartsWith("id: ", StringComparison.Ordinal))
                        id = line[4..];
                    else if (line.StartsWith("event: ", StringComparison.Ordinal))
                        type = line[7..];
                    else if (line.StartsWith("data: ", StringComparison.Ordinal) && type != "stream.resume")
                        received.Add((id, line[6..]));
                }

                return "the stream ended";
            }
            catch (Exception cut) when (cut is HttpRequestException or IOException)
            {
                return cut.Message;
            }
        }
    }

    private static string Short(string text) => text.Length > 300 ? text[..300] : text;

    private static HttpRequestMessage Resume(string lastEventId)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, $"/api/runs/{RunOf(lastEventId)}/events");
        request.Headers.Add("Last-Event-ID", lastEventId);
        return request;
    }

    private static string RunOf(string eventId) => eventId[..eventId.IndexOf('.', StringComparison.Ordinal)];

    private static bool IsTerminal(string data) => TypeOf(data) is "run.completed" or "run.failed" or "run.cancelled" or "run.interrupted";

    private static string TypeOf(string data) => JsonElement.Parse(data).GetProperty("type").GetString()!;

    /// <summary>Once the queue is empty, everything that was asked for is there exactly once.</summary>
    private async Task<int> DoubledAsync(string apiDatabase, string memoryDatabase, CancellationToken ct)
    {
        await WaitForTasksAsync(apiDatabase, "agentflow_api", ct);
        await WaitForTasksAsync(memoryDatabase, "agentflow_memory", ct);
        var wrong = Check("runs", await CountAsync(apiDatabase, "select count(*) from agentflow_api.runs where idempotency_key is not null", ct), _chats);
        wrong += Check("double passages", await CountAsync(apiDatabase, "select count(*) from (select 1 from agentflow_api.chunks group by document_id, document_version, ordinal having count(*) > 1) d", ct), 0);
        wrong += Check("documents ready", await CountAsync(apiDatabase, "select count(*) from agentflow_api.documents where status = 'ready'", ct), _documents.Count);
        foreach (var text in _memories)
            wrong += Check(text, await CountAsync(memoryDatabase, $"select count(*) from agentflow_memory.memories where text = '{text}' and status = 0", ct), 1);
        return wrong;
    }

    private int Check(string what, long found, long expected)
    {
        if (found != expected)
            _faults.Enqueue($"{what}: {found} instead of {expected}");
        return found == expected ? 0 : 1;
    }

    /// <summary>Bounded only by patience: tasks of a stopped worker are taken over after their lease.</summary>
    private static async Task WaitForTasksAsync(string database, string schema, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        while (await CountAsync(database, $"select count(*) from {schema}.tasks where status in ('queued', 'running')", limit.Token) > 0)
            await Task.Delay(100, limit.Token);
    }

    private static async Task<long> CountAsync(string database, string sql, CancellationToken ct)
    {
        await using var connection = new NpgsqlConnection(database);
        await connection.OpenAsync(ct);
        await using var command = new NpgsqlCommand(sql, connection);
        return Convert.ToInt64(await command.ExecuteScalarAsync(ct), System.Globalization.CultureInfo.InvariantCulture);
    }
}

/// <param name="Restarts">One after the other: service and replica.</param>
/// <param name="Tries">Of one request before it counts as failed.</param>
/// <param name="Settle">Between two restarts.</param>
internal sealed record RollingPlan(IReadOnlyList<(string Service, int Replica)> Restarts, int RequestsPerSecond, int Tries, TimeSpan Settle);
