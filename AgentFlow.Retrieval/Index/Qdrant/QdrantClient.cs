using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace AgentFlow.Retrieval.Index.Qdrant;

/// <summary>Qdrant did not do what was asked; the write or search has to be tried again.</summary>
public sealed class QdrantException : Exception
{
    public QdrantException(string message, HttpStatusCode? status = null, Exception? inner = null)
        : base(message, inner) => Status = status;

    /// <summary>Null when there was no answer at all.</summary>
    public HttpStatusCode? Status { get; }
}

/// <summary>
/// Requests over Qdrant's REST API. Every failure, silence and an answer of another form included, becomes a <see cref="QdrantException"/>. Thread-safe.
/// </summary>
internal sealed class QdrantClient(HttpClient http, QdrantOptions options)
{
    /// <summary>Sends a body that <paramref name="write"/> writes; what the answer's <c>result</c> holds does not matter.</summary>
    public Task SendAsync(HttpMethod method, string path, Action<Utf8JsonWriter>? write, CancellationToken ct) =>
        SendAsync(method, path, write, static (JsonElement _) => true, ct);

    /// <summary>Changes points. What Qdrant does not call completed may not have been applied, and has failed.</summary>
    public Task ChangeAsync(string path, Action<Utf8JsonWriter> write, CancellationToken ct) => SendAsync(
        HttpMethod.Post, path, write, static (JsonElement result) => IsCompleted(result) ? true : throw new InvalidOperationException("the change is not completed"), ct);

    /// <summary>Sends a body that <paramref name="write"/> writes and reads what it needs of the answer's <c>result</c>, which is gone afterwards.</summary>
    public Task<T> SendAsync<T>(HttpMethod method, string path, Action<Utf8JsonWriter>? write, Func<JsonElement, T> read, CancellationToken ct) => SendAsync(
        method,
        path,
        write,
        (byte[] answer) =>
        {
            using var document = JsonDocument.Parse(answer);
            return read(document.RootElement.GetProperty("result"));
        },
        ct);

    /// <summary>Sends a body that <paramref name="write"/> writes and reads the whole answer.</summary>
    public async Task<T> SendAsync<T>(HttpMethod method, string path, Action<Utf8JsonWriter>? write, Func<byte[], T> read, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(method, new Uri(options.Endpoint, path));
        if (options.ApiKey is not null)
            request.Headers.Add("api-key", options.ApiKey);
        if (write is not null)
            request.Content = Body(write);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(options.Timeout);
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
            var bytes = await response.Content.ReadAsByteArrayAsync(limit.Token);
            if (!response.IsSuccessStatusCode)
                throw new QdrantException($"Qdrant answered {(int)response.StatusCode} to {method} {path}: {ErrorOf(bytes)}", response.StatusCode);
            return read(bytes);
        }
        catch (OperationCanceledException error) when (!ct.IsCancellationRequested)
        {
            throw new QdrantException($"Qdrant did not answer {method} {path} within {options.Timeout.TotalSeconds} s.", status: null, error);
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw new QdrantException($"Qdrant could not be asked ({method} {path}): {error.Message}", status: null, error);
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new QdrantException($"Qdrant's answer to {method} {path} has another form: {error.Message}", status: null, error);
        }
    }

    /// <summary><c>{"operation_id":7,"status":"completed"}</c>, or an array of such.</summary>
    private static bool IsCompleted(JsonElement result) => result.ValueKind == JsonValueKind.Array
        ? result.GetArrayLength() > 0 && result.EnumerateArray().All(IsCompleted)
        : result.GetProperty("status").GetString() == "completed";

    private static ReadOnlyMemoryContent Body(Action<Utf8JsonWriter> write)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>(4096);
        using (var writer = new Utf8JsonWriter(buffer))
            write(writer);
        return new ReadOnlyMemoryContent(buffer.WrittenMemory) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
    }

    /// <summary>Qdrant's own words, cut; they name fields and types, not contents.</summary>
    private static string ErrorOf(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            var error = document.RootElement.GetProperty("status").GetProperty("error").GetString() ?? string.Empty;
            return error.Length > 300 ? error[..300] : error;
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return "no reason given";
        }
    }
}
