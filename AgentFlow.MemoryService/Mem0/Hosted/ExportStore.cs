using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.MemoryService.Mem0.Hosted;

/// <summary>Exports in Mem0's form, and what its clients think of a memory. Thread-safe.</summary>
internal sealed class ExportStore(Database database, TimeProvider time)
{
    internal async Task<Guid> SaveAsync(MemoryCaller caller, JsonElement? filters, JsonNode body, CancellationToken ct)
    {
        var id = Guid.CreateVersion7();
        var subject = caller.FixedSubject ?? new MemoryScope();
        await database.ForOwner(caller.OwnerId).ExecuteAsync(
            """
            insert into memory_exports (id, owner_id, filters, body, user_id, agent_id, session_id, app_id, created_at)
            values ($1, $2, $3::jsonb, $4::jsonb, $5::text, $6::text, $7::text, $8::text, $9)
            """,
            [id, caller.OwnerId, filters?.GetRawText() ?? "{}", body.ToJsonString(), subject.UserId, subject.AgentId, subject.SessionId, subject.AppId, time.GetUtcNow()],
            ct);
        return id;
    }

    /// <summary>By id, or the newest with these filters. A key that is bound to a subject sees only what such a key has exported.</summary>
    internal Task<string?> FindAsync(MemoryCaller caller, Guid? id, JsonElement? filters, CancellationToken ct)
    {
        var subject = caller.FixedSubject ?? new MemoryScope();
        return database.ForOwner(caller.OwnerId).QuerySingleAsync<string>(
            """
            select body::text from memory_exports
            where owner_id = $1 and ($2::uuid is null or id = $2) and ($2::uuid is not null or filters = $3::jsonb)
                and ($4::text is null or user_id = $4) and ($5::text is null or agent_id = $5)
                and ($6::text is null or session_id = $6) and ($7::text is null or app_id = $7)
            order by created_at desc limit 1
            """,
            [caller.OwnerId, id, filters?.GetRawText() ?? "{}", subject.UserId, subject.AgentId, subject.SessionId, subject.AppId],
            reader => reader.GetString(0),
            ct);
    }

    internal Task SaveFeedbackAsync(MemoryCaller caller, MemoryId memory, string? feedback, string? reason, CancellationToken ct) =>
        database.ForOwner(caller.OwnerId).ExecuteAsync(
            "insert into memory_feedback (id, owner_id, memory_id, feedback, reason, created_at) values ($1, $2, $3, $4::text, $5::text, $6)",
            [Guid.CreateVersion7(), caller.OwnerId, memory.Value, feedback, reason, time.GetUtcNow()],
            ct);
}
