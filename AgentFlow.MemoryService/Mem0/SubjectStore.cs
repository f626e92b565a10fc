using System.Buffers.Text;
using System.Text;
using System.Text.Json.Nodes;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.MemoryService.Mem0;

/// <summary>A user, agent, app or run that has memories; Mem0 calls it an entity.</summary>
internal sealed record Subject(string Type, string Name, long Memories, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    internal JsonObject ToHosted(Guid ownerId) => new()
    {
        ["id"] = Name,
        ["name"] = Name,
        ["type"] = Type,
        ["total_memories"] = Memories,
        ["owner"] = ownerId.ToString("D"),
        ["organization"] = ownerId.ToString("D"),
        ["metadata"] = null,
        ["created_at"] = Mem0Shapes.Time(CreatedAt),
        ["updated_at"] = Mem0Shapes.Time(UpdatedAt),
    };

    internal JsonObject ToSelfHosted() => new()
    {
        ["id"] = Name, ["type"] = Type, ["total_memories"] = Memories, ["created_at"] = Mem0Shapes.Time(CreatedAt), ["updated_at"] = Mem0Shapes.Time(UpdatedAt),
    };
}

/// <summary>Counts an owner's memories by subject. Thread-safe.</summary>
internal sealed class SubjectStore(Database database)
{
    internal static readonly string[] Types = ["user", "agent", "app", "run"];

    private const string Counted =
        """
        from memories m
        cross join lateral (values ('user', m.user_id, 0), ('agent', m.agent_id, 1), ('app', m.app_id, 2), ('run', m.session_id, 3)) as s (type, name, place)
        where m.owner_id = $1 and m.status = 0 and m.valid_to is null and s.name is not null
            and ($2::text is null or m.user_id = $2) and ($3::text is null or m.agent_id = $3)
            and ($4::text is null or m.session_id = $4) and ($5::text is null or m.app_id = $5)
        """;

    private const string Grouped = "select s.type, s.name, count(*), min(m.created_at), max(m.updated_at)";

    /// <summary>By type, then by name.</summary>
    /// <param name="after">The subject that the page before ended with.</param>
    internal Task<List<Subject>> ListAsync(MemoryCaller caller, Position? after, int offset, int limit, CancellationToken ct) => database.ForOwner(caller.OwnerId).QueryAsync(
        $"{Grouped} {Counted} and ($8::int is null or (s.place, s.name) > ($8, $9::text)) group by s.type, s.name, s.place order by s.place, s.name offset $6 limit $7",
        [.. Of(caller), offset, limit, after?.Place, after?.Name], Read, ct);

    /// <summary>All of them, by type, then by name, none of them kept.</summary>
    internal Task<bool> ReadAllAsync(MemoryCaller caller, Func<Subject, ValueTask> take, CancellationToken ct) => database.ForOwner(caller.OwnerId).CreateBatch()
        .Add($"{Grouped} {Counted} group by s.type, s.name, s.place order by s.place, s.name", Of(caller))
        .ReadAsync(
            async (reader, token) =>
            {
                while (await reader.ReadAsync(token))
                    await take(Read(reader));
                return true;
            },
            ct);

    /// <returns>Null when nothing is remembered of it, or Mem0 has no such type.</returns>
    internal async Task<Subject?> FindAsync(MemoryCaller caller, string type, string name, CancellationToken ct)
    {
        var column = type switch { "user" => "user_id", "agent" => "agent_id", "app" => "app_id", "run" => "session_id", _ => null };
        return column is null ? null : await database.ForOwner(caller.OwnerId).QuerySingleAsync(
            $"select s.type, s.name, count(*), min(m.created_at), max(m.updated_at) {Counted} and s.type = $6 and m.{column} = $7 group by s.type, s.name",
            [.. Of(caller), type, name], Read, ct);
    }

    /// <returns>How many different subjects of each type there are.</returns>
    internal async Task<IReadOnlyDictionary<string, long>> CountAsync(MemoryCaller caller, CancellationToken ct)
    {
        var found = await database.ForOwner(caller.OwnerId).QueryAsync(
            $"select s.type, count(distinct s.name) {Counted} group by s.type", Of(caller), reader => KeyValuePair.Create(reader.GetString(0), reader.GetInt64(1)), ct);
        return found.ToDictionary(StringComparer.Ordinal);
    }

    /// <summary>Where a page of subjects ended.</summary>
    /// <param name="Place">Of the type, in <see cref="Types"/>.</param>
    /// <param name="Name">The last subject's.</param>
    internal sealed record Position(int Place, string Name)
    {
        internal static Position Of(Subject subject) => new(Array.IndexOf(Types, subject.Type), subject.Name);

        internal string Encode() => Base64Url.EncodeToString(Encoding.UTF8.GetBytes($"{Place}{Name}"));

        /// <returns>Null for what is no position.</returns>
        internal static Position? Decode(string cursor)
        {
            if (cursor.Length > 2_000 || !Base64Url.IsValid(cursor))
                return null;
            var text = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(cursor));
            return text.Length > 1 && text[0] - '0' is >= 0 and var place && place < Types.Length && !text.Contains('\0', StringComparison.Ordinal) ? new Position(place, text[1..]) : null;
        }
    }

    private static object?[] Of(MemoryCaller caller)
    {
        var only = caller.FixedSubject ?? new MemoryScope();
        return [caller.OwnerId, only.UserId, only.AgentId, only.SessionId, only.AppId];
    }

    private static Subject Read(Npgsql.NpgsqlDataReader reader) => new(reader.GetString(0), reader.GetString(1), reader.GetInt64(2), reader.Time(3), reader.Time(4));

    /// <returns>Null for a type that Mem0 does not have.</returns>
    internal static MemoryScope? ToScope(string type, string name) => type switch
    {
        "user" or "users" => new MemoryScope { UserId = name },
        "agent" or "agents" => new MemoryScope { AgentId = name },
        "app" or "apps" => new MemoryScope { AppId = name },
        "run" or "runs" => new MemoryScope { SessionId = name },
        _ => null,
    };
}
