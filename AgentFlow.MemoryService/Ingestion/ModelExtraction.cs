using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Memories;
using AgentFlow.MemoryService.Search;
using Microsoft.Extensions.Options;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>
/// Extraction by an OpenAI-compatible chat model: one call for each window, structured output, nothing stored unless every call gave
/// what was asked for. Thread-safe.
/// </summary>
internal sealed class ModelExtraction(
    IHttpClientFactory clients, ExtractionModelOptions model, RelatedMemories related, IOptions<MemoryOptions> options, TimeProvider time)
{
    internal const string ClientName = "extraction";

    private const int MaxAnswerBytes = 1_000_000;

    internal bool IsConfigured => model.Address is not null;

    /// <exception cref="ExtractionFailedException">Any call failed.</exception>
    internal async Task<Extraction> ExtractAsync(
        Guid ownerId, MemoryScope scope, AddMemoryRequest request, IReadOnlyList<MemoryMessage> said, CancellationToken ct)
    {
        var facts = new List<ExtractedFact>();
        long input = 0;
        long output = 0;
        foreach (var window in ConversationWindows.Cut(said, options.Value.ExtractionWindow))
        {
            var known = await related.ToAsync(ownerId, scope, window, ct);
            var body = ExtractionPrompt.Body(model.Model!, scope, request.ObservedAt ?? time.GetUtcNow(), known, window, request.Instructions);
            var completion = await CompleteAsync(body, ct);
            facts.AddRange(ReadFacts(completion, known));
            input += completion.InputTokens;
            output += completion.OutputTokens;
        }

        var distinct = facts.DistinctBy(fact => ContentHash.Normalize(fact.Text)).ToList();
        return new Extraction(distinct, "model") { InputTokens = input, OutputTokens = output };
    }

    private static IReadOnlyList<ExtractedFact> ReadFacts(Completion completion, IReadOnlyList<MemoryRow> known)
    {
        if (completion.Refusal is not null || completion.FinishReason == "content_filter")
            throw new ExtractionFailedException("extraction_refused", "The extraction model refused; nothing was stored.");
        if (completion.FinishReason == "length")
            throw new ExtractionFailedException("extraction_truncated", "The extraction model's answer was cut off; nothing was stored.");
        try
        {
            return ExtractionPrompt.Parse(completion.Content, known);
        }
        catch (JsonException error)
        {
            throw new ExtractionFailedException("extraction_malformed", "The extraction model did not answer in the form that was asked for; nothing was stored.", error);
        }
    }

    private async Task<Completion> CompleteAsync(string body, CancellationToken ct)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(ct);
        limit.CancelAfter(options.Value.ExtractionTimeout);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(model.Address!, "chat/completions"));
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
            if (!string.IsNullOrEmpty(model.ApiKey))
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", model.ApiKey);
            using var client = clients.CreateClient(ClientName);
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseContentRead, limit.Token);
            if (!response.IsSuccessStatusCode)
            {
                throw new ExtractionFailedException(
                    "extraction_unavailable", $"The extraction model's endpoint answered {(int)response.StatusCode}; nothing was stored.");
            }

            return Read(await response.Content.ReadAsByteArrayAsync(limit.Token));
        }
        catch (OperationCanceledException error) when (!ct.IsCancellationRequested)
        {
            throw new ExtractionFailedException("extraction_timeout", "The extraction model did not answer in time; nothing was stored.", error);
        }
        catch (HttpRequestException error)
        {
            throw new ExtractionFailedException("extraction_unavailable", "The extraction model can not be reached; nothing was stored.", error);
        }
    }

    // Raw: {"choices":[{"finish_reason":"stop","message":{"content":"{\"facts\":[]}","refusal":null}}],"usage":{"prompt_tokens":310,"completion_tokens":12}}
    private static Completion Read(byte[] body)
    {
        try
        {
            if (body.Length > MaxAnswerBytes)
                throw new JsonException("The answer is too long.");
            using var document = JsonDocument.Parse(body);
            var choice = document.RootElement.GetProperty("choices")[0];
            var message = choice.GetProperty("message");
            var usage = document.RootElement.TryGetProperty("usage", out var counted) && counted.ValueKind == JsonValueKind.Object ? counted : default;
            return new Completion(
                Text(message, "content") ?? string.Empty, Text(message, "refusal"), Text(choice, "finish_reason"), Count(usage, "prompt_tokens"), Count(usage, "completion_tokens"));
        }
        catch (Exception error) when (error is JsonException or KeyNotFoundException or InvalidOperationException or IndexOutOfRangeException)
        {
            throw new ExtractionFailedException("extraction_malformed", "The extraction model's endpoint did not answer with a chat completion; nothing was stored.", error);
        }
    }

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static long Count(JsonElement usage, string name) =>
        usage.ValueKind == JsonValueKind.Object && usage.TryGetProperty(name, out var value) && value.TryGetInt64(out var count) ? count : 0;

    private sealed record Completion(string Content, string? Refusal, string? FinishReason, long InputTokens, long OutputTokens);
}
