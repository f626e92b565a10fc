using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.MemoryService.Memories;

/// <summary>One change of one memory.</summary>
internal sealed record HistoryRow(
    long Sequence, Guid OperationId, MemoryId MemoryId, int Version, MemoryChange Change, string? OldText, string? NewText, MemoryScope Scope,
    string? Role, string? Actor, DateTimeOffset At)
{
    /// <summary>In the order that <see cref="Read"/> expects; the alias <c>h</c> is the table.</summary>
    internal const string Columns =
        "h.seq, h.operation_id, h.memory_id, h.version, h.event, h.old_text, h.new_text, h.user_id, h.agent_id, h.session_id, h.app_id, h.role, h.actor, h.at";

    internal const int ColumnCount = 14;

    internal static HistoryRow Read(NpgsqlDataReader reader) => new(
        reader.GetInt64(0),
        reader.GetGuid(1),
        new MemoryId(reader.GetGuid(2)),
        reader.GetInt32(3),
        (MemoryChange)reader.GetInt16(4),
        reader.NullableString(5),
        reader.NullableString(6),
        new MemoryScope
        {
            UserId = reader.NullableString(7), AgentId = reader.NullableString(8), SessionId = reader.NullableString(9), AppId = reader.NullableString(10),
        },
        reader.NullableString(11),
        reader.NullableString(12),
        reader.Time(13));

    internal MemoryHistoryEntry ToEntry() => new()
    {
        MemoryId = MemoryId, Version = Version, Event = Change, OldText = OldText, NewText = NewText, At = At,
    };
}
