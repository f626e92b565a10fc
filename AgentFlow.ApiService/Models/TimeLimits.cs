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
        while (await MoveNextAsync(updates, started, total.Token, cancellationToken))
        {
            // The reader's own time is not the provider's.
            started = started || updates.Current.Contents.Count > 0;
            if (started)
                next.CancelAfter(Timeout.InfiniteTimeSpan);
            yield return updates.Current;
            if (started)
                next.CancelAfter(provider.InterTokenTimeout);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> MoveNextAsync(IAsyncEnumerator<ChatResponseUpdate> updates, bool started, CancellationToken total, CancellationToken caller)
    {
        try
        {
            return await updates.MoveNextAsync();
        }
        catch (OperationCanceledException e) when (!caller.IsCancellationRequested)
        {
            var limit = total.IsCancellationRequested ? provider.TotalTimeout : started ? provider.InterTokenTimeout : provider.FirstTokenTimeout;
            var what = total.IsCancellationRequested ? "the whole answer" : started ? "the next token" : "the first token";
            throw new ModelException(ModelFault.Timeout, provider.DisplayName, $"{provider.DisplayName} did not send {what} within {limit.TotalSeconds:0.###} s.", inner: e);
        }
    }
}
