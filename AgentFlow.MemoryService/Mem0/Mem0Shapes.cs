using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Memories;
using AgentFlow.MemoryService.Search;

namespace AgentFlow.MemoryService.Mem0;

/// <summary>Memories, history and entities as Mem0 writes them. Pure.</summary>
internal static class Mem0Shapes
{
    internal static readonly JsonSerializerOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The hosted API's memory.</summary>
    internal static JsonObject Hosted(MemoryRow row) => new()
    {
        ["id"] = row.Id.ToString(),
        ["memory"] = row.Text,
        ["user_id"] = row.Scope.UserId,
        ["agent_id"] = row.Scope.AgentId,
        ["app_id"] = row.Scope.AppId,
        ["run_id"] = row.Scope.SessionId,
        ["session_id"] = row.Scope.SessionId,
        ["actor_id"] = row.Actor,
        ["hash"] = Hash(row.Text),
        ["metadata"] = JsonNode.Parse(row.Metadata),
        ["categories"] = new JsonArray([.. row.Categories.Select(category => (JsonNode)category)]),
        ["immutable"] = row.Immutable,
        ["expiration_date"] = Day(row.ExpiresAt),
        ["structured_attributes"] = null,
        ["replaced_by"] = row.SupersededBy?.ToString(),
        ["synthesized"] = false,
        ["created_at"] = Time(row.CreatedAt),
        ["updated_at"] = Time(row.UpdatedAt),
    };

    internal static JsonObject Hosted(FoundMemory found)
    {
        var memory = Hosted(found.Row);
        memory["score"] = Math.Round(found.Score, 6);
        memory["score_breakdown"] = new JsonObject
        {
            ["semantic"] = Math.Round(found.Parts.Dense, 6),
            ["bm25"] = Math.Round(found.Parts.Bm25, 6),
            ["entity"] = Math.Round(found.Parts.Entity, 6),
        };
        return memory;
    }

    /// <summary>The self-hosted server's memory: what is absent is left out.</summary>
    internal static JsonObject SelfHosted(MemoryRow row)
    {
        var memory = new JsonObject
        {
            ["id"] = row.Id.ToString(), ["memory"] = row.Text, ["hash"] = Hash(row.Text), ["created_at"] = Time(row.CreatedAt), ["updated_at"] = Time(row.UpdatedAt),
        };
        foreach (var (name, value) in new[]
        {
            ("user_id", row.Scope.UserId), ("agent_id", row.Scope.AgentId), ("run_id", row.Scope.SessionId), ("actor_id", row.Actor), ("role", row.Role),
            ("expiration_date", Day(row.ExpiresAt)),
        })
        {
            if (value is not null)
                memory[name] = value;
        }

        memory["metadata"] = row.Metadata == "{}" ? null : JsonNode.Parse(row.Metadata);
        return memory;
    }

    internal static JsonObject SelfHosted(FoundMemory found, bool explain)
    {
        var memory = SelfHosted(found.Row);
        memory["score"] = Math.Round(found.Score, 6);
        if (explain)
            memory["score_details"] = new JsonObject(found.Parts.ToDictionary().Select(part => KeyValuePair.Create(part.Key, (JsonNode?)Math.Round(part.Value, 6))));
        return memory;
    }

    internal static JsonObject HostedHistory(HistoryRow row, MemoryRow memory) => new()
    {
        ["id"] = row.OperationId.ToString("D"),
        ["memory_id"] = row.MemoryId.ToString(),
        ["input"] = new JsonArray(new JsonObject { ["role"] = row.Role ?? "user", ["content"] = row.NewText ?? row.OldText ?? string.Empty }),
        ["old_memory"] = row.OldText,
        ["new_memory"] = row.NewText,
        ["user_id"] = row.Scope.UserId,
        ["agent_id"] = row.Scope.AgentId,
        ["app_id"] = row.Scope.AppId,
        ["session_id"] = row.Scope.SessionId,
        ["categories"] = new JsonArray([.. memory.Categories.Select(category => (JsonNode)category)]),
        ["event"] = Event(row.Change),
        ["metadata"] = JsonNode.Parse(memory.Metadata),
        ["created_at"] = Time(row.At),
        ["updated_at"] = Time(row.At),
    };

    internal static JsonObject SelfHostedHistory(HistoryRow row) => new()
    {
        ["id"] = row.OperationId.ToString("D"),
        ["memory_id"] = row.MemoryId.ToString(),
        ["old_memory"] = row.OldText,
        ["new_memory"] = row.NewText,
        ["event"] = Event(row.Change),
        ["created_at"] = Time(row.At),
        ["updated_at"] = Time(row.At),
        ["is_deleted"] = row.Change == MemoryChange.Deleted,
        ["actor_id"] = row.Actor,
        ["role"] = row.Role,
    };

    /// <summary>What an add stored; duplicates are left out, as Mem0 does.</summary>
    internal static JsonArray HostedResults(AddMemoryResponse added) => new(
    [
        .. Stored(added).Select(item => new JsonObject
        {
            ["id"] = item.Id.ToString(), ["data"] = new JsonObject { ["memory"] = item.Text }, ["memory"] = item.Text, ["event"] = "ADD",
        }),
    ]);

    internal static JsonArray SelfHostedResults(AddMemoryResponse added) => new(
        [.. Stored(added).Select(item => new JsonObject { ["id"] = item.Id.ToString(), ["memory"] = item.Text, ["event"] = "ADD" })]);

    internal static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'+00:00'", CultureInfo.InvariantCulture);

    /// <summary>The last day on which the memory is shown.</summary>
    private static string? Day(DateTimeOffset? expiresAt) =>
        expiresAt is { } given ? given.UtcDateTime.AddTicks(-1).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture) : null;

    private static IEnumerable<MemoryAddition> Stored(AddMemoryResponse added) => added.Items.Where(item => item.Event is MemoryChange.Added or MemoryChange.Superseded);

    private static string Event(MemoryChange change) => change switch
    {
        MemoryChange.Deleted => "DELETE",
        MemoryChange.Updated or MemoryChange.Superseded => "UPDATE",
        _ => "ADD",
    };

    // Mem0's clients get an MD5 here; it identifies a text and protects nothing.
    [System.Diagnostics.CodeAnalysis.SuppressMessage("Security", "CA5351", Justification = "A wire format of Mem0's, not a protection.")]
    private static string Hash(string text) => Convert.ToHexStringLower(MD5.HashData(Encoding.UTF8.GetBytes(text)));
}
