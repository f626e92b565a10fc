using System.Globalization;
using AgentFlow.ApiService.Chat;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Rooms;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ApiService.Rooms;

/// <summary>Rooms and their members. A caller finds its rooms as itself; whatever is inside is read and written as the room.</summary>
internal sealed class RoomStore(Database database, RoomSignals signals, IOptions<RoomOptions> options)
{
    /// <summary>Run as the caller: row-level security shows nothing but the caller's own membership.</summary>
    private const string SelectRooms = """
        select r.id, r.name, r.agent, m.role, r.members, r.created_at, r.updated_at, r.conversation_id, r.agent_owner,
               (select u.display_name from users u where u.owner_id = $1)
        from room_members m join rooms r on r.id = m.room_id
        where m.member_id = $1
        """;

    private const string SelectPage =
        SelectRooms + " and ($2::timestamptz is null or (r.updated_at, r.id) < ($2::timestamptz, $3::uuid)) order by r.updated_at desc, r.id desc limit $4";

    private const string InsertConversation = """
        insert into conversations (id, owner_id, title, agent) values ($1, $2, $3, $4) on conflict do nothing
        """;

    private const string InsertRoom = """
        insert into rooms (id, owner_id, conversation_id, name, agent, agent_owner) values ($1, $1, $2, $3, $4, $5) on conflict do nothing
        """;

    private const string InsertOwner = """
        insert into room_members (room_id, member_id, owner_id, role) values ($1, $2, $1, 'owner') on conflict do nothing
        """;

    private const string SelectMembers = """
        select m.member_id, coalesce(u.display_name, '(gone)'), m.role, m.added_at,
               exists (select from room_presence p where p.room_id = m.room_id and p.member_id = m.member_id and p.seen_at > now() - $2::interval)
        from room_members m left join users u on u.owner_id = m.member_id
        where m.room_id = $1 and m.owner_id = $1 order by m.added_at, m.member_id
        """;

    private const string UpsertMember = """
        insert into room_members (room_id, member_id, owner_id, role) values ($1, $2, $1, $3)
        on conflict (room_id, member_id) do update set role = excluded.role
        """;

    private const string CountMembers = "update rooms set members = (select count(*) from room_members where room_id = $1) where id = $1";

    private const string AppendChanged = """
        with next as (update rooms set last_seq = last_seq + 1, updated_at = now() where id = $1 returning last_seq)
        insert into room_events (room_id, seq, owner_id, kind) select $1, last_seq, $1, 'changed' from next
        """;

    private const string Update = """
        update rooms set name = coalesce($2::text, name), agent = coalesce($3::text, agent), agent_owner = case when $3::text is null then agent_owner else $4 end
        where id = $1
        """;

    private const string UpdateConversation = """
        update conversations set title = coalesce($2::text, title), agent = coalesce($3::text, agent) where id = (select conversation_id from rooms where id = $1)
        """;

    private const string SelectAccount = "select u.owner_id from users u where u.disabled_at is null and (u.owner_id = $1::uuid or u.email = $2::text)";

    public async Task<Page<Room>> ListAsync(OwnerId caller, int limit, (DateTimeOffset Time, Guid Id)? after, CancellationToken ct)
    {
        var rooms = await database.ForOwner(caller.Value).QueryAsync(
            SelectPage, [caller.Value, after?.Time, after?.Id, limit + 1], reader => ReadAccess(reader).Room, ct);
        var next = rooms.Count > limit ? Cursor.Of(rooms[limit - 1].UpdatedAt.ToString("O", CultureInfo.InvariantCulture), rooms[limit - 1].Id.ToString()) : null;
        return new([.. rooms.Take(limit)], next);
    }

    /// <exception cref="ServiceDefaults.Problems.ProblemException">404: there is no such room, or the caller is not in it.</exception>
    public async Task<RoomAccess> FindAsync(OwnerId caller, RoomId id, CancellationToken ct) =>
        await TryFindAsync(caller, id, ct) ?? throw RoomErrors.NotFound();

    public Task<RoomAccess?> TryFindAsync(OwnerId caller, RoomId id, CancellationToken ct) =>
        database.ForOwner(caller.Value).QuerySingleAsync($"{SelectRooms} and r.id = $2", [caller.Value, id.Value], ReadAccess, ct);

    /// <summary>Repeatable under the same ids.</summary>
    public async Task<Room> CreateAsync(OwnerId caller, RoomId id, ConversationId conversation, string name, string agent, CancellationToken ct)
    {
        var rooms = await database.ForOwner(caller.Value).QuerySingleAsync(
            "select count(*)::int from room_members where member_id = $1", [caller.Value], reader => reader.GetInt32(0), ct);
        if (rooms >= options.Value.MaxRooms)
            throw RoomErrors.TooManyRooms(options.Value.MaxRooms);
        await database.ForOwner(id.Value).CreateBatch()
            .Add(InsertConversation, [conversation.Value, id.Value, name, agent])
            .Add(InsertRoom, [id.Value, conversation.Value, name, agent, caller.Value])
            .Add(InsertOwner, [id.Value, caller.Value])
            .ExecuteAsync(ct);
        return (await FindAsync(caller, id, ct)).Room;
    }

    /// <summary>Oldest member first. The caller of this has seen that somebody is a member.</summary>
    public Task<List<RoomMember>> MembersAsync(RoomId room, CancellationToken ct) => database.AsWorker().QueryAsync(
        SelectMembers,
        [room.Value, options.Value.PresenceLife],
        reader => new RoomMember(new(reader.GetGuid(0)), reader.GetString(1), Role(reader.GetString(2)), reader.Time(3), reader.GetBoolean(4)),
        ct);

    /// <summary>An account that can sign in, by its id or its address.</summary>
    public async Task<OwnerId?> FindAccountAsync(OwnerId? id, string? email, CancellationToken ct)
    {
        var found = await database.AsWorker().QueryAsync(SelectAccount, [id?.Value, email], reader => new OwnerId(reader.GetGuid(0)), ct);
        return found.Count == 0 ? null : found[0];
    }

    /// <summary>Adds, changes or (null) removes a member, one change at a time in each room.</summary>
    /// <exception cref="ServiceDefaults.Problems.ProblemException">See <see cref="RoomMembership.Changes"/>.</exception>
    public async Task SetMemberAsync(RoomId room, OwnerId member, RoomRole? role, CancellationToken ct)
    {
        await using var session = await database.ForOwner(room.Value).BeginAsync(ct);
        await session.ExecuteAsync("select 1 from rooms where id = $1 for update", [room.Value], ct);
        var members = (await session.QueryAsync(
            "select member_id, role from room_members where room_id = $1", [room.Value],
            reader => (Id: new OwnerId(reader.GetGuid(0)), Role: Role(reader.GetString(1))), ct)).ToDictionary(each => each.Id, each => each.Role);
        if (!RoomMembership.Changes(members, member, role, options.Value.MaxMembers))
            return;
        var batch = session.CreateBatch();
        if (role is { } given)
            batch.Add(UpsertMember, [room.Value, member.Value, Name(given)]);
        else
            batch.Add("delete from room_members where room_id = $1 and member_id = $2", [room.Value, member.Value]);
        batch.Add(CountMembers, [room.Value]).Add(AppendChanged, [room.Value]);
        signals.Tell(batch, room);
        await batch.ExecuteAsync(ct);
        await session.CommitAsync(ct);
    }

    /// <summary>Null stays as it is.</summary>
    public Task UpdateAsync(RoomAccess room, OwnerId caller, string? name, string? agent, CancellationToken ct)
    {
        var batch = database.ForOwner(room.Id.Value).CreateBatch()
            .Add(Update, [room.Id.Value, name, agent, caller.Value])
            .Add(UpdateConversation, [room.Id.Value, name, agent])
            .Add(AppendChanged, [room.Id.Value]);
        signals.Tell(batch, room.Id);
        return batch.ExecuteAsync(ct);
    }

    /// <summary>The conversation goes, and with it room, messages, runs and logs; the memories are erased by a task.</summary>
    public Task DeleteAsync(RoomId room, Action<DbBatch> also, CancellationToken ct)
    {
        var batch = database.ForOwner(room.Value).CreateBatch()
            .Add("delete from run_events where owner_id = $1", [room.Value])
            .Add("delete from tool_approvals where owner_id = $1", [room.Value])
            .Add("delete from conversations where owner_id = $1", [room.Value]);
        also(batch);
        signals.Tell(batch, room);
        return batch.ExecuteAsync(ct);
    }

    internal static RoomRole Role(string name) => Enum.Parse<RoomRole>(name, ignoreCase: true);

    private static string Name(RoomRole role) => role.ToString().ToLowerInvariant();

    private static RoomAccess ReadAccess(NpgsqlDataReader reader) => new(
        new Room
        {
            Id = new(reader.GetGuid(0)),
            Name = reader.GetString(1),
            Agent = reader.GetString(2),
            Role = Role(reader.GetString(3)),
            Members = reader.GetInt32(4),
            CreatedAt = reader.Time(5),
            UpdatedAt = reader.Time(6),
        },
        new(reader.GetGuid(7)),
        new(reader.GetGuid(8)),
        reader.NullableString(9) ?? "(gone)");
}
