using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text;
using AgentFlow.ApiService.Context;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Models;

/// <summary>
/// One <c>chat {model}</c> span and the client metrics for each request to a model, and usage on every complete answer: the provider's
/// own figures, or an estimate where it gave none, with the cost at the configured prices in <see cref="CostKey"/>.
/// </summary>
internal sealed class Measured(IChatClient inner, string provider, string model, ProviderOptions? prices, TimeProvider time, bool showsContent = false) : DelegatingChatClient(inner)
{
    /// <summary>Key of a <see cref="UsageContent"/>'s additional property: a decimal.</summary>
    public const string CostKey = "agentflow.cost";

    public override async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    public override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var prompt = messages as IReadOnlyList<ChatMessage> ?? [.. messages];
        using var call = new Call(this, options);
        if (showsContent)
            call.Show(prompt, options);
        await using var updates = base.GetStreamingResponseAsync(prompt, options, cancellationToken).GetAsyncEnumerator(cancellationToken);
        while (true)
        {
            bool hasNext;
            try
            {
                hasNext = await updates.MoveNextAsync();
            }
            catch (Exception e) when (e is ModelException or OperationCanceledException)
            {
                call.Failed(e);
                throw;
            }

            if (!hasNext)
                break;
            call.Saw(updates.Current);
            yield return updates.Current;
        }

        if (!call.HasUsage)
            yield return new ChatResponseUpdate { Contents = [call.Estimate(prompt)] };
        call.Completed();
    }

    private decimal? CostOf(UsageDetails usage) => prices is { InputPrice: null, OutputPrice: null } or null
        ? null
        : (((usage.InputTokenCount ?? 0) * (prices.InputPrice ?? 0)) + ((usage.OutputTokenCount ?? 0) * (prices.OutputPrice ?? 0))) / 1_000_000m;

    private sealed class Call : IDisposable
    {
        private readonly Measured _owner;
        private readonly Activity? _span;
        private readonly long _startedAt;
        private readonly StringBuilder _text = new();
        private readonly TagList _tags;
        private TimeSpan? _firstChunk;
        private int _chunks;
        private string? _error = "cancelled";

        public Call(Measured owner, ChatOptions? options)
        {
            _owner = owner;
            _startedAt = owner.TimeSource.GetTimestamp();
            _tags = new TagList
            {
                { Telemetry.Tags.Operation, Telemetry.Operations.Chat },
                { Telemetry.Tags.Provider, owner.ProviderName },
                { Telemetry.Tags.RequestModel, owner.ModelName },
            };
            _span = Telemetry.Source.StartActivity($"{Telemetry.Operations.Chat} {owner.ModelName}", ActivityKind.Client, parentContext: default, _tags);
            _span?.SetTag(Telemetry.Tags.RequestStream, true);
            if (owner.Address is { } address)
                _span?.SetTag(Telemetry.Tags.ServerAddress, address.Host).SetTag(Telemetry.Tags.ServerPort, address.Port);
            if (options?.MaxOutputTokens is { } max)
                _span?.SetTag(Telemetry.Tags.RequestMaxTokens, max);
        }

        public bool HasUsage { get; private set; }

        public void Show(IReadOnlyList<ChatMessage> prompt, ChatOptions? options)
        {
            _span?.SetTag(Telemetry.Tags.SystemInstructions, options?.Instructions);
            _span?.SetTag(Telemetry.Tags.InputMessages, ContentTelemetry.Messages(prompt));
        }

        public void Saw(ChatResponseUpdate update)
        {
            if (update.FinishReason is { } finish)
                _span?.SetTag(Telemetry.Tags.FinishReasons, new[] { finish.Value });
            foreach (var content in update.Contents)
            {
                if (content is UsageContent usage)
                    Saw(usage);
                else
                    SawPiece(content);
            }

            if (_chunks == 1)
            {
                _span?.SetTag(Telemetry.Tags.ResponseModel, update.ModelId ?? _owner.ModelName);
                _span?.SetTag(Telemetry.Tags.ResponseId, update.ResponseId);
            }
        }

        public UsageContent Estimate(IReadOnlyList<ChatMessage> prompt)
        {
            var input = prompt.Sum(m => (long)TokenEstimate.Of(m));
            var output = (long)TokenEstimate.Of(_text.ToString());
            var usage = new UsageContent(new UsageDetails { InputTokenCount = input, OutputTokenCount = output, TotalTokenCount = input + output });
            Saw(usage);
            return usage;
        }

        public void Completed() => _error = null;

        public void Failed(Exception e) => _error = e is ModelException failure ? failure.Fault.ToString().ToLowerInvariant() : "cancelled";

        public void Dispose()
        {
            var elapsed = _owner.TimeSource.GetElapsedTime(_startedAt);
            var tags = _tags;
            if (_error is not null)
            {
                tags.Add(Telemetry.Tags.ErrorType, _error);
                _span?.SetTag(Telemetry.Tags.ErrorType, _error);
                if (_error != "cancelled")
                    _span?.SetStatus(ActivityStatusCode.Error);
            }

            Telemetry.ChatDuration.Record(elapsed.TotalSeconds, tags);
            if (_firstChunk is { } first)
            {
                _span?.SetTag(Telemetry.Tags.TimeToFirstChunk, first.TotalSeconds);
                Telemetry.TimeToFirstChunk.Record(first.TotalSeconds, tags);
                if (_chunks > 1)
                    Telemetry.TimePerChunk.Record((elapsed - first).TotalSeconds / (_chunks - 1), tags);
            }

            if (_owner.ShowsContent)
                _span?.SetTag(Telemetry.Tags.OutputMessages, ContentTelemetry.Answer(_text.ToString()));
            _span?.Dispose();
        }

        private void SawPiece(AIContent content)
        {
            _chunks++;
            _firstChunk ??= _owner.TimeSource.GetElapsedTime(_startedAt);
            if (content is TextContent text)
                _text.Append(text.Text);
        }

        private void Saw(UsageContent usage)
        {
            HasUsage = true;
            if (_owner.CostOf(usage.Details) is { } cost)
            {
                (usage.AdditionalProperties ??= [])[CostKey] = cost;
                Telemetry.Cost.Add((double)cost, _tags);
            }

            Record(usage.Details.InputTokenCount, "input", Telemetry.Tags.InputTokens);
            Record(usage.Details.OutputTokenCount, "output", Telemetry.Tags.OutputTokens);
            _span?.SetTag(Telemetry.Tags.CachedTokens, usage.Details.CachedInputTokenCount);
            _span?.SetTag(Telemetry.Tags.ReasoningTokens, usage.Details.ReasoningTokenCount);
        }

        private void Record(long? tokens, string type, string tag)
        {
            if (tokens is not { } count)
                return;
            var tags = _tags;
            tags.Add(Telemetry.Tags.TokenType, type);
            Telemetry.TokenUsage.Record(count, tags);
            _span?.SetTag(tag, count);
        }
    }

    private TimeProvider TimeSource => time;

    private bool ShowsContent => showsContent;

    private Uri? Address { get; } = prices is null ? null : new(prices.Endpoint);

    private string ProviderName => provider;

    private string ModelName => model;
}
