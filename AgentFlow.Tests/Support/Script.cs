using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace AgentFlow.Tests.Support;

/// <summary>What <see cref="ScriptedProvider"/> answers to one request: a status, headers, then steps. Immutable; share it between requests.</summary>
internal sealed record Script
{
    public int Status { get; init; } = 200;

    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    public string ContentType { get; init; } = "text/event-stream";

    public IReadOnlyList<ScriptStep> Steps { get; init; } = [];

    /// <summary>Bytes of the body that are sent before the connection is closed in the middle of it; null: all.</summary>
    public long? CutAtByte { get; init; }

    /// <summary>The answer to a request that did not ask for a stream; null: made from the steps.</summary>
    public string? Json { get; init; }

    /// <summary>Streams the words, then a usage chunk where it was asked for, then [DONE].</summary>
    public static Script Say(params string[] words) => Say(TimeSpan.Zero, TimeSpan.Zero, words);

    /// <summary>As <see cref="Say(string[])"/>, with a pause before the first and between the following words.</summary>
    public static Script Say(TimeSpan first, TimeSpan between, params string[] words)
    {
        var steps = new List<ScriptStep>();
        for (var i = 0; i < words.Length; i++)
        {
            var wait = i == 0 ? first : between;
            if (wait > TimeSpan.Zero)
                steps.Add(new ScriptStep.Wait(wait));
            steps.Add(Sse.Text(words[i]));
        }

        steps.Add(Sse.Finish("stop"));
        steps.Add(new ScriptStep.Usage(12, words.Length));
        steps.Add(Sse.Done);
        return new Script { Steps = steps };
    }

    /// <summary>Calls tools in one turn; their arguments (JSON text) arrive in fragments of seven characters.</summary>
    public static Script CallTools(params (string Name, string Arguments)[] calls)
    {
        var steps = new List<ScriptStep>();
        for (var i = 0; i < calls.Length; i++)
        {
            steps.Add(Sse.ToolStart(i, string.Create(CultureInfo.InvariantCulture, $"call_{i}_{calls[i].Name}"), calls[i].Name));
            foreach (var part in calls[i].Arguments.Chunk(7))
                steps.Add(Sse.ToolArguments(i, new string(part)));
        }

        steps.Add(Sse.Finish("tool_calls"));
        steps.Add(new ScriptStep.Usage(12, 5));
        steps.Add(Sse.Done);
        return new Script { Steps = steps };
    }

    /// <summary>An error before the stream: OpenAI's error object with the status.</summary>
    public static Script Fail(int status, string code = "server_error", TimeSpan? retryAfter = null, string message = "scripted failure") => new()
    {
        Status = status,
        ContentType = "application/json",
        Headers = retryAfter is { } wait
            ? new Dictionary<string, string> { ["Retry-After"] = ((int)wait.TotalSeconds).ToString(CultureInfo.InvariantCulture) }
            : new Dictionary<string, string>(),
        Json = new JsonObject
        {
            ["error"] = new JsonObject { ["message"] = message, ["type"] = "error", ["param"] = null, ["code"] = code },
        }.ToJsonString(),
    };

    /// <summary>Headers, the given bytes as they are, and the end of the body: for malformed streams.</summary>
    public static Script Raw(string body) => new() { Steps = [new ScriptStep.Bytes(Encoding.UTF8.GetBytes(body))] };

    /// <summary>Says the words and then nothing more until the caller goes away.</summary>
    public static Script SayThenStall(params string[] words) =>
        new() { Steps = [.. words.Select(Sse.Text), new ScriptStep.Stall()] };

    /// <summary>The whole body as one piece of text, with usage: what <see cref="CutAtByte"/> counts in.</summary>
    public byte[] Body() =>
        [.. Steps.SelectMany(step => step switch
        {
            ScriptStep.Bytes bytes => bytes.Content,
            ScriptStep.Usage usage => Sse.UsageChunk(usage),
            _ => [],
        })];
}

/// <summary>One thing that the provider does while it answers.</summary>
internal abstract record ScriptStep
{
    public sealed record Bytes(byte[] Content) : ScriptStep;

    /// <summary>Sent only to a request with <c>stream_options.include_usage</c>.</summary>
    public sealed record Usage(int InputTokens, int OutputTokens) : ScriptStep;

    public sealed record Wait(TimeSpan Time) : ScriptStep;

    /// <summary>Waits for the test to complete the gate.</summary>
    public sealed record Gate(Task Opened) : ScriptStep;

    /// <summary>Sends nothing until the caller goes away.</summary>
    public sealed record Stall : ScriptStep;

    /// <summary>Resets the connection.</summary>
    public sealed record Reset : ScriptStep;
}

/// <summary>Builders of the lines of OpenAI's streaming format.</summary>
internal static class Sse
{
    public static readonly ScriptStep.Bytes Done = new("data: [DONE]\n\n"u8.ToArray());

    public static ScriptStep.Bytes Text(string text) => Chunk(new JsonObject { ["content"] = text }, null);

    public static ScriptStep.Bytes Finish(string reason) => Chunk([], reason);

    public static ScriptStep.Bytes ToolStart(int index, string id, string name) => Chunk(
        new JsonObject
        {
            ["tool_calls"] = new JsonArray(new JsonObject
            {
                ["index"] = index,
                ["id"] = id,
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = name, ["arguments"] = "" },
            }),
        },
        null);

    public static ScriptStep.Bytes ToolArguments(int index, string fragment) => Chunk(
        new JsonObject
        {
            ["tool_calls"] = new JsonArray(new JsonObject
            {
                ["index"] = index,
                ["function"] = new JsonObject { ["arguments"] = fragment },
            }),
        },
        null);

    public static byte[] UsageChunk(ScriptStep.Usage usage) => Line(new JsonObject
    {
        ["id"] = "chatcmpl-scripted",
        ["object"] = "chat.completion.chunk",
        ["created"] = 1_700_000_000,
        ["model"] = "scripted",
        ["choices"] = new JsonArray(),
        ["usage"] = UsageJson(usage),
    });

    public static JsonObject UsageJson(ScriptStep.Usage usage) => new()
    {
        ["prompt_tokens"] = usage.InputTokens,
        ["completion_tokens"] = usage.OutputTokens,
        ["total_tokens"] = usage.InputTokens + usage.OutputTokens,
    };

    public static byte[] Line(JsonNode node) => Encoding.UTF8.GetBytes($"data: {node.ToJsonString()}\n\n");

    private static ScriptStep.Bytes Chunk(JsonObject delta, string? finish) => new(Line(new JsonObject
    {
        ["id"] = "chatcmpl-scripted",
        ["object"] = "chat.completion.chunk",
        ["created"] = 1_700_000_000,
        ["model"] = "scripted",
        ["choices"] = new JsonArray(new JsonObject { ["index"] = 0, ["delta"] = delta, ["finish_reason"] = finish }),
    }));
}
