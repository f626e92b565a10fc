using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Models.OpenAICompatible;

/// <summary>
/// Turns the data of a chat completion stream into updates and knows whether the answer is complete. One raw stream:
/// <code>
/// {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}
/// {"id":"c",...,"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"x","type":"function","function":{"name":"f","arguments":"{\"a\""}}]},"finish_reason":null}]}
/// {"id":"c",...,"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}
/// {"id":"c",...,"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}
/// [DONE]
/// </code>
/// Complete means: a finish reason was given and then <c>[DONE]</c>. Everything else is a cut or malformed stream. Unknown members are
/// ignored, as providers add them at any time. Not thread-safe; one per answer.
/// </summary>
internal sealed class ChatStreamParser(string provider)
{
    private const int MaxToolCalls = 128;
    private readonly SortedDictionary<int, PartialCall> _calls = [];
    private ChatFinishReason? _finish;
    private string? _model;
    private string? _id;

    /// <summary>True after <c>[DONE]</c>.</summary>
    public bool IsDone { get; private set; }

    /// <summary>One update for each data value, empty where it brought nothing to show.</summary>
    /// <param name="data">UTF-8; not kept.</param>
    /// <exception cref="ModelException">The value breaks the format or carries an error.</exception>
    public ChatResponseUpdate Read(ReadOnlyMemory<byte> data)
    {
        if (data.Span.SequenceEqual("[DONE]"u8))
            return Finish();
        try
        {
            using var document = JsonDocument.Parse(data);
            return ReadChunk(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            throw Malformed("a chunk that is not the format's JSON", e);
        }
    }

    /// <summary>To be called when the stream has ended.</summary>
    public ModelException Cut() => new(ModelFault.Cut, provider, $"The stream of {provider} ended before the answer was complete.");

    private ChatResponseUpdate Finish()
    {
        if (_finish is null)
            throw Malformed("the end of the stream without a finish reason");
        IsDone = true;
        return new ChatResponseUpdate { FinishReason = _finish };
    }

    private ChatResponseUpdate ReadChunk(JsonElement chunk)
    {
        if (chunk.ValueKind != JsonValueKind.Object)
            throw Malformed("a chunk that is no object");
        if (chunk.TryGetProperty("error", out var error) && error.ValueKind != JsonValueKind.Null)
            throw ProviderError.FromStream(provider, error);
        var update = new ChatResponseUpdate { Role = Microsoft.Extensions.AI.ChatRole.Assistant };
        if (chunk.TryGetProperty("model", out var model) && model.ValueKind == JsonValueKind.String)
            update.ModelId = Same(model, ref _model);
        if (chunk.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.String)
            update.ResponseId = Same(id, ref _id);
        if (chunk.TryGetProperty("usage", out var usage) && usage.ValueKind == JsonValueKind.Object)
            update.Contents.Add(new UsageContent(ReadUsage(usage)));
        if (!chunk.TryGetProperty("choices", out var choices) || choices.ValueKind != JsonValueKind.Array)
            throw Malformed("a chunk without choices");
        if (choices.GetArrayLength() > 0)
            ReadChoice(choices[0], update);
        return update;
    }

    /// <summary>What every chunk says again is one string.</summary>
    private static string Same(JsonElement value, ref string? last) => last is not null && value.ValueEquals(last) ? last : (last = value.GetString()!);

    private void ReadChoice(JsonElement choice, ChatResponseUpdate update)
    {
        if (choice.TryGetProperty("delta", out var delta) && delta.ValueKind == JsonValueKind.Object)
        {
            if (delta.TryGetProperty("content", out var content) && ChunkText.Of(content) is { Length: > 0 } text)
                update.Contents.Add(new TextContent(text));
            if (Reasoning(delta) is { } thought)
                update.Contents.Add(new TextReasoningContent(thought));
            if (delta.TryGetProperty("tool_calls", out var calls) && calls.ValueKind == JsonValueKind.Array)
                ReadCalls(calls);
        }

        if (choice.TryGetProperty("finish_reason", out var reason) && reason.ValueKind == JsonValueKind.String)
        {
            _finish = new ChatFinishReason(reason.GetString()!);
            foreach (var call in _calls.Values)
                update.Contents.Add(call.ToContent());
            _calls.Clear();
        }
    }

    /// <summary>What a model thinks before it answers, under either of its names; not shown, but a sign that it is at work.</summary>
    private static string? Reasoning(JsonElement delta) =>
        (delta.TryGetProperty("reasoning_content", out var thought) || delta.TryGetProperty("reasoning", out thought))
        && ChunkText.Of(thought) is { Length: > 0 } text ? text : null;

    private void ReadCalls(JsonElement calls)
    {
        foreach (var delta in calls.EnumerateArray())
        {
            var index = delta.TryGetProperty("index", out var i) ? i.GetInt32() : 0;
            if (!_calls.TryGetValue(index, out var call))
            {
                if (_calls.Count == MaxToolCalls)
                    throw Malformed($"more than {MaxToolCalls} tool calls at once");
                _calls[index] = call = new PartialCall(index);
            }

            if (delta.TryGetProperty("id", out var id) && id.ValueKind == JsonValueKind.String)
                call.Id = id.GetString()!;
            if (!delta.TryGetProperty("function", out var function))
                continue;
            if (function.TryGetProperty("name", out var name) && name.ValueKind == JsonValueKind.String)
                call.Name = name.GetString()!;
            if (function.TryGetProperty("arguments", out var arguments) && ChunkText.Of(arguments) is { } part)
                call.Arguments.Append(part);
        }
    }

    private static UsageDetails ReadUsage(JsonElement usage)
    {
        var details = new UsageDetails
        {
            InputTokenCount = Number(usage, "prompt_tokens"),
            OutputTokenCount = Number(usage, "completion_tokens"),
            TotalTokenCount = Number(usage, "total_tokens"),
        };
        if (usage.TryGetProperty("prompt_tokens_details", out var prompt) && prompt.ValueKind == JsonValueKind.Object)
            details.CachedInputTokenCount = Number(prompt, "cached_tokens");
        if (usage.TryGetProperty("completion_tokens_details", out var completion) && completion.ValueKind == JsonValueKind.Object)
            details.ReasoningTokenCount = Number(completion, "reasoning_tokens");
        return details;
    }

    private static long? Number(JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number >= 0 ? number : null;

    private ModelException Malformed(string what, Exception? inner = null) =>
        new(ModelFault.Malformed, provider, $"{provider} sent {what}.", inner: inner);

    private sealed class PartialCall(int index)
    {
        public string Id { get; set; } = $"call_{index}";

        public string Name { get; set; } = "";

        public StringBuilder Arguments { get; } = new();

        /// <summary>Broken arguments are kept as an exception: the tool is not run, and the model is told.</summary>
        public FunctionCallContent ToContent()
        {
            var raw = Arguments.Length == 0 ? "{}" : Arguments.ToString();
            try
            {
                using var document = JsonDocument.Parse(raw);
                if (document.RootElement.ValueKind != JsonValueKind.Object)
                    throw new JsonException("The arguments are no object.");
                var arguments = document.RootElement.EnumerateObject().ToDictionary(p => p.Name, p => (object?)p.Value.Clone(), StringComparer.Ordinal);
                return new FunctionCallContent(Id, Name, arguments);
            }
            catch (Exception e) when (e is JsonException or ArgumentException or InvalidOperationException)
            {
                return new FunctionCallContent(Id, Name) { Exception = e };
            }
        }
    }
}
