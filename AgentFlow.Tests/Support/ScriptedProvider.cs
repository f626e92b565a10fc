using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.Support;

/// <summary>
/// A model provider that we own: a real HTTP server on a free loopback port that speaks OpenAI's wire format (chat completions streamed
/// and whole, embeddings, models) and does what its scripts say: delay, cut, stall, refuse, corrupt. Thread-safe.
/// <code>
/// await using var provider = await ScriptedProvider.StartAsync();
/// provider.Enqueue(Script.Say("Hello", " world"));      // used once, in order; afterwards Respond answers
/// ... configure Models:Providers:0:Endpoint = provider.Endpoint
/// </code>
/// </summary>
internal sealed class ScriptedProvider : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ConcurrentQueue<Script> queue = new();
    private readonly ConcurrentQueue<ProviderRequest> requests = new();
    private readonly SemaphoreSlim arrivals = new(0);
    private readonly SemaphoreSlim abortSignals = new(0);
    private int requestCount;
    private int abortCount;
    private int openCount;
    private int mostOpen;

    private ScriptedProvider(WebApplication app) => this.app = app;

    /// <summary>Ends in <c>/v1</c>, as <c>OPENAI_BASE_URL</c> does.</summary>
    public Uri Endpoint { get; private set; } = null!;

    /// <summary>Answers what the queue has no script for. Default: says "ok".</summary>
    public Func<ProviderRequest, Script> Respond { get; set; } = _ => Script.Say("ok");

    /// <summary>False for load runs: requests are counted, but not kept.</summary>
    public bool KeepsRequests { get; set; } = true;

    /// <summary>Numbers per embedding.</summary>
    public int EmbeddingDimensions { get; set; } = 8;

    /// <summary>What embeddings wait for before they are answered.</summary>
    public Task HoldEmbeddings { get; set; } = Task.CompletedTask;

    /// <summary>Chat completion requests so far.</summary>
    public int RequestCount => Volatile.Read(ref requestCount);

    /// <summary>Chat completions whose caller went away before the end.</summary>
    public int AbortCount => Volatile.Read(ref abortCount);

    /// <summary>Chat completions being answered now.</summary>
    public int OpenCount => Volatile.Read(ref openCount);

    public int MostOpen => Volatile.Read(ref mostOpen);

    public IReadOnlyList<ProviderRequest> Requests => [.. requests];

    public static async Task<ScriptedProvider> StartAsync(int port = 0)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, port);
            kestrel.AddServerHeader = false;
        });
        builder.WebHost.UseSockets(sockets => sockets.Backlog = 4096);
        builder.Logging.ClearProviders();
        var provider = new ScriptedProvider(builder.Build());
        provider.app.Run(provider.AnswerAsync);
        await provider.app.StartAsync();
        provider.Endpoint = new Uri(provider.app.Urls.First() + "/v1");
        return provider;
    }

    /// <summary>Forgets scripts and requests, so that tests can share a provider.</summary>
    public void Reset()
    {
        queue.Clear();
        requests.Clear();
        Volatile.Write(ref requestCount, 0);
        Respond = _ => Script.Say("ok");
    }

    public void Enqueue(params Script[] scripts)
    {
        foreach (var script in scripts)
            queue.Enqueue(script);
    }

    /// <summary>Completes when one more chat completion has arrived.</summary>
    public Task WaitForRequestAsync(CancellationToken ct) => arrivals.WaitAsync(ct);

    /// <summary>Completes when the provider has seen one more caller go away before the end.</summary>
    public Task WaitForAbortAsync(CancellationToken ct) => abortSignals.WaitAsync(ct);

    public async ValueTask DisposeAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await app.StopAsync(limit.Token);
        await app.DisposeAsync();
        arrivals.Dispose();
        abortSignals.Dispose();
    }

    private Task AnswerAsync(HttpContext context) => (context.Request.Method, context.Request.Path.Value) switch
    {
        ("POST", "/v1/chat/completions") => ChatAsync(context),
        ("POST", "/v1/embeddings") when context.Request.ContentLength is null => LengthRequiredAsync(context),
        ("POST", "/v1/embeddings") => EmbeddingsAsync(context),
        ("GET", "/v1/models") => WriteJsonAsync(
            context,
            """{"object":"list","data":[{"id":"scripted","object":"model","created":1700000000,"owned_by":"tests"}]}"""),
        _ => NotFoundAsync(context),
    };

    private static Task NotFoundAsync(HttpContext context)
    {
        context.Response.StatusCode = 404;
        return WriteJsonAsync(context, """{"error":{"message":"no such route","type":"invalid_request_error","param":null,"code":null}}""");
    }

    /// <summary>As small servers and some gateways do.</summary>
    private static Task LengthRequiredAsync(HttpContext context)
    {
        context.Response.StatusCode = 411;
        return WriteJsonAsync(context, """{"error":{"message":"A body needs its length.","type":"invalid_request_error","param":null,"code":null}}""");
    }

    private async Task ChatAsync(HttpContext context)
    {
        var request = await ReadAsync(context);
        Interlocked.Increment(ref requestCount);
        InterlockedMax(ref mostOpen, Interlocked.Increment(ref openCount));
        if (KeepsRequests)
            requests.Enqueue(request);
        arrivals.Release();
        var script = queue.TryDequeue(out var queued) ? queued : Respond(request);
        try
        {
            context.Response.StatusCode = script.Status;
            foreach (var (name, value) in script.Headers)
                context.Response.Headers[name] = value;
            if (script.Json is not null || !request.Stream)
                await WriteWholeAsync(context, script);
            else
                await new ScriptPlayer(context, script, request.IncludesUsage).PlayAsync();
        }
        catch (Exception e) when (e is OperationCanceledException or IOException && context.RequestAborted.IsCancellationRequested)
        {
            CountAbort();
        }
        finally
        {
            Interlocked.Decrement(ref openCount);
        }
    }

    private void CountAbort()
    {
        Interlocked.Increment(ref abortCount);
        abortSignals.Release();
    }

    private static async Task<ProviderRequest> ReadAsync(HttpContext context)
    {
        using var document = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        return new ProviderRequest(
            document.RootElement.Clone(),
            context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase));
    }

    private static async Task WriteWholeAsync(HttpContext context, Script script)
    {
        foreach (var step in script.Steps)
            await ScriptPlayer.WaitAsync(step, context.RequestAborted);
        await WriteJsonAsync(context, script.Json ?? Completion(script));
    }

    /// <summary>The non-streaming form of a script: its deltas put together.</summary>
    private static string Completion(Script script)
    {
        var text = "";
        var usage = new ScriptStep.Usage(1, 1);
        foreach (var step in script.Steps)
        {
            if (step is ScriptStep.Usage given)
                usage = given;
            if (step is ScriptStep.Bytes bytes && bytes != Sse.Done)
                text += JsonNode.Parse(bytes.Content.AsSpan(6))?["choices"]?[0]?["delta"]?["content"]?.GetValue<string>();
        }

        return new JsonObject
        {
            ["id"] = "chatcmpl-scripted",
            ["object"] = "chat.completion",
            ["created"] = 1_700_000_000,
            ["model"] = "scripted",
            ["choices"] = new JsonArray(new JsonObject
            {
                ["index"] = 0,
                ["message"] = new JsonObject { ["role"] = "assistant", ["content"] = text },
                ["finish_reason"] = "stop",
            }),
            ["usage"] = Sse.UsageJson(usage),
        }.ToJsonString();
    }

    /// <summary>Deterministic vectors: the same text gets the same numbers.</summary>
    private async Task EmbeddingsAsync(HttpContext context)
    {
        var request = await ReadAsync(context);
        await HoldEmbeddings.WaitAsync(context.RequestAborted);
        var input = request.Body.GetProperty("input");
        var texts = input.ValueKind == JsonValueKind.Array ? input.EnumerateArray().Select(t => t.GetString()!).ToArray() : [input.GetString()!];
        var asBase64 = request.Body.TryGetProperty("encoding_format", out var format) && format.GetString() == "base64";
        var data = new JsonArray();
        foreach (var (index, text) in texts.Index())
        {
            var random = new Random(text.Aggregate(17, (hash, c) => unchecked((hash * 31) + c)));
            var vector = Enumerable.Range(0, EmbeddingDimensions).Select(_ => random.NextSingle() - 0.5f).ToArray();
            data.Add(new JsonObject
            {
                ["object"] = "embedding",
                ["index"] = index,
                ["embedding"] = asBase64 ? Base64(vector) : new JsonArray([.. vector.Select(v => (JsonNode)v)]),
            });
        }

        await WriteJsonAsync(context, new JsonObject
        {
            ["object"] = "list",
            ["data"] = data,
            ["model"] = "scripted",
            ["usage"] = new JsonObject { ["prompt_tokens"] = texts.Length, ["total_tokens"] = texts.Length },
        }.ToJsonString());
    }

    private static string Base64(float[] vector)
    {
        var bytes = new byte[vector.Length * sizeof(float)];
        for (var i = 0; i < vector.Length; i++)
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector[i]);
        return Convert.ToBase64String(bytes);
    }

    private static Task WriteJsonAsync(HttpContext context, string json)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(json, context.RequestAborted);
    }

    private static void InterlockedMax(ref int target, int value)
    {
        var seen = Volatile.Read(ref target);
        while (value > seen)
        {
            var before = Interlocked.CompareExchange(ref target, value, seen);
            if (before == seen)
                return;
            seen = before;
        }
    }
}

/// <summary>One chat completion request as it came in.</summary>
internal sealed record ProviderRequest(JsonElement Body, IReadOnlyDictionary<string, string> Headers)
{
    public bool Stream => Body.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True;

    public bool IncludesUsage => Body.TryGetProperty("stream_options", out var options)
        && options.TryGetProperty("include_usage", out var usage) && usage.ValueKind == JsonValueKind.True;

    /// <summary>The text of the newest message.</summary>
    public string LastMessage => Body.GetProperty("messages").EnumerateArray().Last().GetProperty("content").ToString();

    /// <summary>All messages, one per line as <c>role: content</c>.</summary>
    public string Transcript => string.Join('\n', Body.GetProperty("messages").EnumerateArray().Select(m =>
        string.Create(CultureInfo.InvariantCulture, $"{m.GetProperty("role").GetString()}: {(m.TryGetProperty("content", out var c) ? c.ToString() : "")}")));
}

/// <summary>
/// Writes a script's steps to a response and counts its bytes. Waits in a row are counted from the first one's beginning: a word that is late
/// because this machine is busy does not make all that follow late, as it would not at a provider elsewhere.
/// </summary>
internal sealed class ScriptPlayer(HttpContext context, Script script, bool includesUsage)
{
    private long written;
    private long startedAt = Stopwatch.GetTimestamp();
    private TimeSpan due;

    public async Task PlayAsync()
    {
        context.Response.ContentType = script.ContentType;
        context.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
        await context.Response.StartAsync(context.RequestAborted);
        if (script.CutAtByte == 0)
            throw new ScriptedCutException();

        foreach (var step in script.Steps)
        {
            if (!await PlayAsync(step))
                return;
        }
    }

    public static Task WaitAsync(ScriptStep step, CancellationToken ct) => step switch
    {
        ScriptStep.Wait wait => Task.Delay(wait.Time, ct),
        ScriptStep.Gate gate => gate.Opened.WaitAsync(ct),
        ScriptStep.Stall => Task.Delay(Timeout.Infinite, ct),
        _ => Task.CompletedTask,
    };

    private async Task<bool> PlayAsync(ScriptStep step)
    {
        switch (step)
        {
            case ScriptStep.Bytes bytes:
                return await WriteAsync(bytes.Content);
            case ScriptStep.Usage usage:
                return !includesUsage || await WriteAsync(Sse.UsageChunk(usage));
            case ScriptStep.Reset:
                context.Abort();
                return false;
            case ScriptStep.Wait wait:
                due += wait.Time;
                if (due - Stopwatch.GetElapsedTime(startedAt) is { Ticks: > 0 } rest)
                    await Task.Delay(rest, context.RequestAborted);
                return true;
            default:
                await WaitAsync(step, context.RequestAborted);
                (startedAt, due) = (Stopwatch.GetTimestamp(), TimeSpan.Zero);
                return true;
        }
    }

    private async Task<bool> WriteAsync(byte[] content)
    {
        var rest = script.CutAtByte is { } cut ? (int)Math.Min(cut - written, content.Length) : content.Length;
        await context.Response.Body.WriteAsync(content.AsMemory(0, rest), context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        context.RequestAborted.ThrowIfCancellationRequested();
        written += rest;
        return script.CutAtByte == written ? throw new ScriptedCutException() : true;
    }
}

/// <summary>Makes Kestrel send what was written and then close the connection in the middle of the body; an abort could lose written bytes.</summary>
internal sealed class ScriptedCutException : Exception;
