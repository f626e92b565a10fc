using System.Globalization;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Exchange;

/// <summary>
/// Reads what Mem0 hands out: a bare array of memories, or <c>{"results": [...]}</c>, or <c>{"memories": [...]}</c>, each entry
/// <c>{"id": "...", "memory": "...", "user_id": "u", "metadata": {...}, "created_at": "..."}</c>. Pure.
/// </summary>
internal static class Mem0Export
{
    /// <exception cref="ProblemException">400 naming the entry.</exception>
    internal static ExportedMemory Entry(JsonElement entry, int index, DateTimeOffset now)
    {
        if (entry.ValueKind != JsonValueKind.Object || Text(entry, "memory") is not { Length: > 0 } text)
            throw Invalid($"Entry {index} has no memory.");
        var created = Time(entry, "created_at") ?? now;
        return new ExportedMemory
        {
            Status = "active",
            Memory = new MemoryItem
            {
                Id = Guid.TryParse(Text(entry, "id"), out var id) ? new MemoryId(id) : MemoryId.New(),
                Text = text,
                Kind = MemoryKind.Fact,
                UserId = Text(entry, "user_id"),
                AgentId = Text(entry, "agent_id"),
                SessionId = Text(entry, "run_id") ?? Text(entry, "session_id"),
                AppId = Text(entry, "app_id"),
                Metadata = entry.TryGetProperty("metadata", out var metadata) && metadata.ValueKind == JsonValueKind.Object ? metadata : null,
                Categories = entry.TryGetProperty("categories", out var categories) && categories.ValueKind == JsonValueKind.Array
                    ? [.. categories.EnumerateArray().Where(category => category.ValueKind == JsonValueKind.String).Select(category => category.GetString()!)]
                    : [],
                Trust = MemoryTrust.Inferred,
                Source = "mem0",
                Role = Text(entry, "role"),
                Actor = Text(entry, "actor_id"),
                Version = 1,
                CreatedAt = created,
                UpdatedAt = Time(entry, "updated_at") ?? created,
                ExpiresAt = Mem0.Mem0Body.Expiry(Text(entry, "expiration_date")),
            },
        };
    }

    private static string? Text(JsonElement entry, string name) =>
        entry.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static DateTimeOffset? Time(JsonElement entry, string name) =>
        DateTimeOffset.TryParse(Text(entry, name), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time) ? time : null;

    internal static ProblemException Invalid(string detail) => new(StatusCodes.Status400BadRequest, "invalid_import", detail);
}
