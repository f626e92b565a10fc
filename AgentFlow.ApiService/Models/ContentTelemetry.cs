using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.Contracts;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Models;

/// <summary>Section <c>Telemetry</c>.</summary>
internal sealed class ContentTelemetryOptions
{
    public const string Section = "Telemetry";

    /// <summary>
    /// Puts prompts, answers, tool arguments and tool results on spans, where whoever reads the telemetry reads them. Off by default, as the
    /// conventions for generative AI advise.
    /// </summary>
    public bool Content { get; set; }
}

/// <summary>Messages as the conventions for generative AI spell them on spans: <c>[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]</c>. Pure.</summary>
internal static class ContentTelemetry
{
    public static string Messages(IEnumerable<ChatMessage> messages) =>
        new JsonArray([.. messages.Select(message => Message(message.Role.Value, message.Contents))]).ToJsonString(ContractJson.Options);

    public static string Answer(string text) => Messages([new ChatMessage(ChatRole.Assistant, text)]);

    private static JsonObject Message(string role, IEnumerable<AIContent> contents) => new()
    {
        ["role"] = role,
        ["parts"] = new JsonArray([.. contents.Select(Part).OfType<JsonNode>()]),
    };

    private static JsonObject? Part(AIContent content) => content switch
    {
        TextContent text => new() { ["type"] = "text", ["content"] = text.Text },
        FunctionCallContent call => new()
        {
            ["type"] = "tool_call", ["id"] = call.CallId, ["name"] = call.Name, ["arguments"] = JsonSerializer.SerializeToNode(call.Arguments, AIJsonUtilities.DefaultOptions),
        },
        FunctionResultContent result => new() { ["type"] = "tool_call_response", ["id"] = result.CallId, ["response"] = result.Result?.ToString() },
        _ => null,
    };
}
