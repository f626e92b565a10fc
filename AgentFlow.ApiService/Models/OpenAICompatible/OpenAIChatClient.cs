using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Models.OpenAICompatible;

/// <summary>
/// Speaks OpenAI's chat completions with one provider, always streamed. Written on HTTP itself, because a client library hides what
/// tells a complete answer from a broken one (docs/decisions). Thread-safe; cancelling closes the provider's connection.
/// Every failure is a <see cref="ModelException"/>.
/// </summary>
internal sealed class OpenAIChatClient(HttpClient http, ProviderOptions provider, TimeProvider time) : IChatClient
{
    /// <summary>Far above any chunk a provider sends; tool arguments arrive in pieces.</summary>
    private const int MaxLineBytes = 1024 * 1024;

    /// <summary>An answer of 100,000 tokens with obfuscation and usage on each chunk stays below.</summary>
    private const long MaxStreamBytes = 64L * 1024 * 1024;

    private readonly Uri _address = new(provider.Endpoint.TrimEnd('/') + "/chat/completions");
    private volatile RequestDialect _dialect = new();
    private readonly ChatClientMetadata _metadata = new(provider.DisplayName, new Uri(provider.Endpoint), provider.Model);

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var response = await OpenAsync(messages as IReadOnlyCollection<ChatMessage> ?? [.. messages], options, cancellationToken);
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        var parser = new ChatStreamParser(provider.DisplayName);
        await using var events = EventStream.ReadDataAsync(body, MaxLineBytes, MaxStreamBytes, cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (!parser.IsDone)
        {
            bool hasNext;
            try
            {
                hasNext = await events.MoveNextAsync();
            }
            catch (Exception e) when (e is IOException or HttpRequestException)
            {
                throw new ModelException(ModelFault.Cut, provider.DisplayName, $"The connection to {provider.DisplayName} broke.", inner: e);
            }
            catch (InvalidDataException e)
            {
                throw new ModelException(ModelFault.Malformed, provider.DisplayName, $"{provider.DisplayName} sent a stream beyond the limits: {e.Message}", inner: e);
            }

            if (!hasNext)
                throw parser.Cut();
            yield return parser.Read(events.Current);
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(ChatClientMetadata) ? _metadata
        : serviceType == typeof(ProviderOptions) ? provider
        : serviceType.IsInstanceOfType(this) ? this
        : null;

    public void Dispose()
    {
    }

    private async Task<HttpResponseMessage> OpenAsync(IReadOnlyCollection<ChatMessage> messages, ChatOptions? options, CancellationToken ct)
    {
        var dialect = _dialect;
        while (true)
        {
            try
            {
                return await SendAsync(ChatRequestBody.Write(provider.Model, messages, options, dialect), ct);
            }
            catch (ModelException e) when (e.Fault == ModelFault.BadRequest && dialect.Without(e.UnsupportedParameter) is { } other)
            {
                _dialect = dialect = other;
            }
        }
    }

    private async Task<HttpResponseMessage> SendAsync(ReadOnlyMemory<byte> body, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, _address) { Content = new ReadOnlyMemoryContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/event-stream"));
        if (!string.IsNullOrEmpty(provider.ApiKey))
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", provider.ApiKey);
        var response = await SendAsync(request, ct);
        if (response.IsSuccessStatusCode && response.Content.Headers.ContentType?.MediaType == "text/event-stream")
            return response;
        using (response)
        {
            throw response.IsSuccessStatusCode
                ? new ModelException(ModelFault.Malformed, provider.DisplayName, $"{provider.DisplayName} did not answer with an event stream.")
                : await ProviderError.ReadAsync(provider.DisplayName, response, time.GetUtcNow(), ct);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken ct)
    {
        try
        {
            return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
        }
        catch (HttpRequestException e)
        {
            throw new ModelException(ModelFault.Unreachable, provider.DisplayName, $"{provider.DisplayName} can not be reached.", inner: e);
        }
    }
}
