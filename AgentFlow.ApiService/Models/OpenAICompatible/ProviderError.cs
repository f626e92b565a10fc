using System.Globalization;
using System.Net;
using System.Text.Json;

namespace AgentFlow.ApiService.Models.OpenAICompatible;

/// <summary>
/// Reads a provider's refusal: the status, <c>Retry-After</c> and the body
/// <code>{"error":{"message":"...","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}</code>
/// Its message may repeat the prompt, so only the code is passed on.
/// </summary>
internal static class ProviderError
{
    private const int MaxBodyBytes = 64 * 1024;

    public static async Task<ModelException> ReadAsync(string provider, HttpResponseMessage response, DateTimeOffset now, CancellationToken ct)
    {
        var (code, message, parameter) = await ReadBodyAsync(response, ct);
        var fault = (int)response.StatusCode switch
        {
            429 => code == "insufficient_quota" ? ModelFault.Refused : ModelFault.RateLimited,
            408 or >= 500 => ModelFault.Unavailable,
            401 or 403 or 404 => ModelFault.Refused,
            413 => ModelFault.ContextTooLong,
            _ => SaysContextTooLong(code, message) ? ModelFault.ContextTooLong : ModelFault.BadRequest,
        };
        return new ModelException(fault, provider, Describe(provider, response.StatusCode, code), RetryAfter(response, now))
        {
            UnsupportedParameter = code is "unsupported_parameter" or "unsupported_value" ? parameter : null,
        };
    }

    public static ModelException FromStream(string provider, JsonElement error)
    {
        var code = Text(error, "code") ?? Text(error, "type");
        var fault = SaysContextTooLong(code, Text(error, "message")) ? ModelFault.ContextTooLong : ModelFault.Unavailable;
        return new ModelException(fault, provider, $"{provider} sent an error inside its stream{Suffix(code)}.");
    }

    private static async Task<(string? Code, string? Message, string? Parameter)> ReadBodyAsync(HttpResponseMessage response, CancellationToken ct)
    {
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(ct);
            var buffer = new byte[MaxBodyBytes];
            var read = await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, ct);
            using var document = JsonDocument.Parse(buffer.AsMemory(0, read));
            return document.RootElement.TryGetProperty("error", out var error)
                ? (Text(error, "code") ?? Text(error, "type"), Text(error, "message"), Text(error, "param"))
                : (null, null, null);
        }
        catch (Exception e) when (e is JsonException or IOException or InvalidOperationException or HttpRequestException)
        {
            return (null, null, null);
        }
    }

    private static string? Text(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;

    /// <summary>OpenAI says it by code; llama.cpp, vLLM and Ollama only in words.</summary>
    private static bool SaysContextTooLong(string? code, string? message) =>
        code is "context_length_exceeded" or "exceed_context_size_error"
        || (message is not null && message.Contains("context", StringComparison.OrdinalIgnoreCase)
            && (message.Contains("length", StringComparison.OrdinalIgnoreCase) || message.Contains("exceed", StringComparison.OrdinalIgnoreCase)
                || message.Contains("size", StringComparison.OrdinalIgnoreCase)));

    private static string Describe(string provider, HttpStatusCode status, string? code) =>
        string.Create(CultureInfo.InvariantCulture, $"{provider} answered {(int)status}{Suffix(code)}.");

    private static string Suffix(string? code) =>
        code is { Length: > 0 and <= 64 } && code.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.') ? $" ({code})" : "";

    private static TimeSpan? RetryAfter(HttpResponseMessage response, DateTimeOffset now)
    {
        var wait = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - now,
            _ => (TimeSpan?)null,
        };
        return wait is { } w && w < TimeSpan.Zero ? TimeSpan.Zero : wait;
    }
}
