using System.Buffers;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Models.OpenAICompatible;

/// <summary>
/// Writes a chat completion request:
/// <code>
/// {"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hi"},
///  {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]},
///  {"role":"tool","tool_call_id":"c1","content":"..."}],"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{}}}]}
/// </code>
/// </summary>
internal static class ChatRequestBody
{
    private static readonly JsonSerializerOptions Compact = new(AIJsonUtilities.DefaultOptions) { WriteIndented = false };

    public static ReadOnlyMemory<byte> Write(string model, IEnumerable<ChatMessage> messages, ChatOptions? options, RequestDialect dialect)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        json.WriteStartObject();
        json.WriteString("model", model);
        json.WriteBoolean("stream", true);
        if (dialect.HasUsage)
        {
            json.WriteStartObject("stream_options");
            json.WriteBoolean("include_usage", true);
            json.WriteEndObject();
        }

        WriteSettings(json, options, dialect);
        json.WriteStartArray("messages");
        if (options?.Instructions is { Length: > 0 } instructions)
            WriteText(json, "system", instructions);
        foreach (var message in messages)
            WriteMessage(json, message);
        json.WriteEndArray();
        WriteTools(json, options);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    private static void WriteSettings(Utf8JsonWriter json, ChatOptions? options, RequestDialect dialect)
    {
        if (options?.Temperature is { } temperature && dialect.HasTemperature)
            json.WriteNumber("temperature", temperature);
        if (options?.TopP is { } topP)
            json.WriteNumber("top_p", topP);
        if (options?.MaxOutputTokens is { } maxTokens)
            json.WriteNumber(dialect.SaysCompletionTokens ? "max_completion_tokens" : "max_tokens", maxTokens);
        if (options?.Seed is { } seed)
            json.WriteNumber("seed", seed);
    }

    private static void WriteMessage(Utf8JsonWriter json, ChatMessage message)
    {
        var results = message.Contents.OfType<FunctionResultContent>().ToList();
        if (results.Count > 0)
        {
            foreach (var result in results)
                WriteToolResult(json, result);
            return;
        }

        var calls = message.Contents.OfType<FunctionCallContent>().ToList();
        if (calls.Count == 0)
        {
            WriteText(json, message.Role.Value, message.Text);
            return;
        }

        json.WriteStartObject();
        json.WriteString("role", message.Role.Value);
        if (message.Text.Length > 0)
            json.WriteString("content", message.Text);
        else
            json.WriteNull("content");
        json.WriteStartArray("tool_calls");
        foreach (var call in calls)
            WriteCall(json, call);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteText(Utf8JsonWriter json, string role, string text)
    {
        json.WriteStartObject();
        json.WriteString("role", role);
        json.WriteString("content", text);
        json.WriteEndObject();
    }

    private static void WriteToolResult(Utf8JsonWriter json, FunctionResultContent result)
    {
        json.WriteStartObject();
        json.WriteString("role", "tool");
        json.WriteString("tool_call_id", result.CallId);
        json.WriteString("content", result.Result as string ?? JsonSerializer.Serialize(result.Result, Compact));
        json.WriteEndObject();
    }

    private static void WriteCall(Utf8JsonWriter json, FunctionCallContent call)
    {
        json.WriteStartObject();
        json.WriteString("id", call.CallId);
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", call.Name);
        json.WriteString("arguments", JsonSerializer.Serialize(call.Arguments ?? new Dictionary<string, object?>(StringComparer.Ordinal), Compact));
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteTools(Utf8JsonWriter json, ChatOptions? options)
    {
        if (options?.Tools is not { Count: > 0 } tools)
            return;
        json.WriteStartArray("tools");
        foreach (var tool in tools.OfType<AIFunctionDeclaration>())
        {
            json.WriteStartObject();
            json.WriteString("type", "function");
            json.WriteStartObject("function");
            json.WriteString("name", tool.Name);
            json.WriteString("description", tool.Description);
            json.WritePropertyName("parameters");
            tool.JsonSchema.WriteTo(json);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("tool_choice", options.ToolMode is NoneChatToolMode ? "none" : "auto");
    }
}
