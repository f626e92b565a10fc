using System.Runtime.CompilerServices;
using AgentFlow.ApiService.Context;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Models.Extractive;

/// <summary>
/// The built-in model: answers from the recalled passages and memories, offline and without a download. It reads
/// <see cref="AnswerSources"/> from the options and calls no tools. It answers only where no provider is configured or where it is asked
/// for by name; it never stands in for a provider that fails. Thread-safe.
/// </summary>
internal sealed class ExtractiveChatClient(ExtractiveOptions options, TimeProvider time) : IChatClient
{
    public const string ModelName = "extractive";
    public const string ProviderName = "agentflow";

    private readonly ChatClientMetadata _metadata = new(ProviderName, null, ModelName);

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var sources = options?.AdditionalProperties?.GetValueOrDefault(AnswerSources.Key) as AnswerSources ?? WithoutSources(messages);
        var answer = ExtractiveAnswer.Write(sources, MaxSentences);
        var pace = sources.IsStreamed ? WordsPerSecond : 0;
        var startedAt = time.GetTimestamp();
        var words = 0;
        foreach (var word in Words(answer))
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (pace > 0)
                await WaitAsync(TimeSpan.FromSeconds(words / (double)pace) - time.GetElapsedTime(startedAt), cancellationToken);
            words++;
            yield return new ChatResponseUpdate(Microsoft.Extensions.AI.ChatRole.Assistant, word) { ModelId = ModelName };
        }

        yield return new ChatResponseUpdate { FinishReason = ChatFinishReason.Stop, ModelId = ModelName };
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(ChatClientMetadata) ? _metadata
        : serviceType.IsInstanceOfType(this) ? this
        : null;

    public void Dispose()
    {
    }

    private int MaxSentences => options.MaxSentences;

    private int WordsPerSecond => options.WordsPerSecond;

    /// <summary>Each word with the white space after it.</summary>
    internal static IEnumerable<string> Words(string text)
    {
        var start = 0;
        for (var i = 1; i < text.Length; i++)
        {
            if (!char.IsWhiteSpace(text[i]) && char.IsWhiteSpace(text[i - 1]))
            {
                yield return text[start..i];
                start = i;
            }
        }

        if (start < text.Length)
            yield return text[start..];
    }

    private async Task WaitAsync(TimeSpan wait, CancellationToken ct)
    {
        if (wait > TimeSpan.Zero)
            await Task.Delay(wait, time, ct);
    }

    private static AnswerSources WithoutSources(IEnumerable<ChatMessage> messages) => new()
    {
        Question = messages.LastOrDefault(m => m.Role == Microsoft.Extensions.AI.ChatRole.User)?.Text ?? "",
        Passages = [],
        Memories = [],
    };
}
