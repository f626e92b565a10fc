using System.Text.Json;
using System.Text.Json.Serialization;
using AgentFlow.ApiService.Context;
using AgentFlow.Contracts.Runs;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Agents;

/// <summary>A turn at the moment before its tools run: what can not be worked out again from the run itself.</summary>
internal sealed record TurnCheckpoint
{
    public required IReadOnlyList<RecalledMemory> Memories { get; init; }

    public required IReadOnlyList<RecalledChunk> Chunks { get; init; }

    public required IReadOnlyList<string> Degraded { get; init; }

    public required IReadOnlyList<string> Noted { get; init; }

    /// <summary>The prompt was assembled within so many.</summary>
    public required int PromptTokens { get; init; }

    /// <summary>What followed the prompt: the model's words and calls, results, additions.</summary>
    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    /// <summary>The calls that wait to be run.</summary>
    public required IReadOnlyList<FunctionCallContent> Pending { get; init; }

    /// <summary>Tool calls of the steps before.</summary>
    public required int CallsBefore { get; init; }

    /// <summary>All that the model said, as it came: the output filter finds its place again by reading it.</summary>
    public required string Said { get; init; }

    /// <summary>Said in the step that waits.</summary>
    public required string Text { get; init; }

    public required int Steps { get; init; }

    public required int ToolCalls { get; init; }

    public required int BrokenCalls { get; init; }

    public required long InputTokens { get; init; }

    public required long OutputTokens { get; init; }

    public decimal? Cost { get; init; }

    public required TimeSpan ModelTime { get; init; }

    public required bool ReadUntrustedText { get; init; }

    [JsonIgnore]
    public Recalled Recalled => new(Memories, Chunks, Degraded, TimeSpan.Zero);

    public JsonElement ToJson() => JsonSerializer.SerializeToElement(this, AIJsonUtilities.DefaultOptions);

    public static TurnCheckpoint Parse(JsonElement json)
    {
        var read = json.Deserialize<TurnCheckpoint>(AIJsonUtilities.DefaultOptions) ?? throw new JsonException("The checkpoint is empty.");

        // A result was a text; as JSON it would be quoted once more for the model.
        foreach (var result in read.Messages.SelectMany(message => message.Contents).OfType<FunctionResultContent>())
        {
            if (result.Result is JsonElement { ValueKind: JsonValueKind.String } text)
                result.Result = text.GetString();
        }

        return read;
    }
}
