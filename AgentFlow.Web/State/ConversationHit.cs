using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;

namespace AgentFlow.Web.State;

/// <summary>
/// A hit of <c>GET /api/chat/search</c>: <c>{"conversationId":"...","title":"...","messageId":"...","snippet":"..."}</c>, or a whole
/// conversation summary.
/// </summary>
internal static class ConversationHit
{
    public static ConversationSummary? Read(JsonElement hit)
    {
        var id = Text(hit, "conversationId") ?? Text(hit, "id");
        if (!ConversationId.TryParse(id, null, out var conversation))
            return null;
        return new ConversationSummary
        {
            Id = conversation,
            Title = Text(hit, "title") ?? Text(hit, "snippet") ?? "Untitled",
            Agent = Text(hit, "agent") ?? "",
            CreatedAt = default,
            UpdatedAt = default,
        };
    }

    private static string? Text(JsonElement hit, string name) =>
        hit.ValueKind is JsonValueKind.Object && hit.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String ? value.GetString() : null;
}
