using System.Runtime.CompilerServices;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Models;

/// <summary>Ends an answer whose first token, next token or last token takes too long. An update without content counts as a sign of life
/// only after the first token: servers that send empty chunks while they load a model are not answering.</summary>
internal sealed class TimeLimits(IChatClient inner, ProviderOptions provider, TimeProvider time) : DelegatingChatClient(inner)
{
    public override async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var total = new CancellationTokenSource(provider.TotalTimeout, time);
        using var next = new CancellationTokenSource(provider.FirstTokenTimeout, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, total.Token, next.Token);
        await using var updates = base.GetStreamingResponseAsync(messages, options, linked.Token).GetAsyncEnumerator(linked.Token);
        var started = false;
        while (true)
        {
            // Awaited here and in every client around this one, without a method of its own: thousands of words a second pass all of them.
            bool hasNext;
            try
            {
                hasNext = await updates.MoveNextAsync();
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                throw TooLate(started, total.IsCancellationRequested, e);
            }

            if (!hasNext)
                yield break;

            // The reader's own time is not the provider's.
            started = started || updates.Current.Contents.Count > 0;
            if (started)
                next.CancelAfter(Timeout.InfiniteTimeSpan);
            yield return updates.Current;
            if (started)
                next.CancelAfter(provider.InterTokenTimeout);
        }
    }

    private ModelException TooLate(bool started, bool isTotal, OperationCanceledException cause)
    {
        var limit = isTotal ? provider.TotalTimeout : started ? provider.InterTokenTimeout : provider.FirstTokenTimeout;
        var what = isTotal ? "the whole answer" : started ? "the next token" : "the first token";
        return new(ModelFault.Timeout, provider.DisplayName, $"{provider.DisplayName} did not send {what} within {limit.TotalSeconds:0.###} s.", inner: cause);
    }
}
