using AgentFlow.ApiService.Chat;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Rooms;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Options;
using Npgsql;

namespace AgentFlow.ApiService.Rooms;

/// <summary>One entry of a room's own log.</summary>
/// <param name="Message">Null: the room itself has changed.</param>
internal sealed record RoomEntry(long Seq, HistoryMessage? Message, int Ahead);

/// <summary>What a socket sees when it looks.</summary>
/// <param name="Role">Null: the member was removed, or the room is gone.</param>
/// <param name="Entries">Since the last look, in the order in which they were committed.</param>
internal sealed record RoomNews(RoomRole? Role, IReadOnlyList<RoomEntry> Entries, IReadOnlyList<OwnerId> Online);

/// <summary>All that a late joiner starts from.</summary>
internal sealed record RoomSnapshot(long LastSeq, IReadOnlyList<HistoryMessage> Messages, IReadOnlyList<RunState> Runs);

/// <summary>
/// The log of a room: who wrote what, in one order for everybody on every replica, and who is there. An entry's number is taken under
/// the lock of the room's row, so that no entry ever appears behind one that was read already.
/// </summary>
internal sealed class RoomFeed(Database database, Conversations conversations, RoomSignals signals, IOptions<RoomOptions> options)
{
    /// <summary>Messages of a snapshot.</summary>
    public const int MaxMessages = 200;

    private const int MaxEntries = 200;

    /// <summary>Goes last in the transaction that starts a run: the message then follows whatever was written in between.</summary>
    private const string AppendQuestion = """
        with next as (update rooms set last_seq = last_seq + 1, updated_at = now() where id = $1 returning last_seq)
        insert into room_events (room_id, seq, owner_id, kind, message_id, run_id, ahead) select $1, last_seq, $1, 'message', $2, $3, $4 from next
        """;

    /// <summary>
    /// The conversation's row is locked by then: nothing else can be written in it before this commits. A question that waits finds its
    /// place when its turn comes.
    /// </summary>
    private const string SignMessage = """
        update messages m set author_id = $2, parent_id = case when $3 then m.parent_id else
            (select n.id from messages n where n.conversation_id = m.conversation_id and n.id <> m.id order by n.position desc limit 1) end
        where m.id = $1
        """;

    private const string LockConversation = "update conversations set updated_at = now() where id = $1";

    /// <summary>Nothing when the message is there already.</summary>
    private const string AppendMessage = """
        with added as (
            insert into messages (id, owner_id, conversation_id, parent_id, role, content, author, author_id, status, selected_text)
            select $2, $1, $3, (select n.id from messages n where n.conversation_id = $3 order by n.position desc limit 1), 0, $4, $5, $6, 3, $7::text
            on conflict do nothing returning id
        ), next as (
            update rooms set last_seq = last_seq + 1, updated_at = now() where id = $1 and exists (select from added) returning last_seq
        )
        insert into room_events (room_id, seq, owner_id, kind, message_id) select $1, last_seq, $1, 'message', $2 from next
        """;

    private const string Touch = """
        insert into room_presence (socket_id, room_id, member_id, owner_id)
        select $2, $1, $3, $1 where exists (select from room_members where room_id = $1 and member_id = $3)
        on conflict (socket_id) do update set seen_at = now()
        """;

    private const string Sweep = "delete from room_presence where room_id = $1 and seen_at < now() - 4 * $2::interval";

    private const string SelectRole = "select role from room_members where room_id = $1 and member_id = $2";

    private const string SelectEntries = """
        select e.seq, e.ahead, e.run_id, m.id, m.parent_id, m.content, m.author, m.author_id, m.created_at, m.selected_text
        from room_events e left join messages m on m.id = e.message_id
        where e.room_id = $1 and e.seq > $2 and (e.kind = 'changed' or m.id is not null) order by e.seq limit $3
        """;

    private const string SelectOnline = """
        select distinct member_id from room_presence where room_id = $1 and seen_at > now() - $2::interval order by 1
        """;

    private const string SelectOpenRuns = """
        select r.id, r.status, r.agent, r.model, r.created_at, coalesce((select max(e.seq) from run_events e where e.run_id = r.id), 0)
        from runs r where r.conversation_id = $1 and r.ended_at is null order by r.position
        """;

    /// <summary>Announces a question in the transaction that starts its run.</summary>
    public Action<DbBatch, RunPlan> Announcing(RoomAccess room, OwnerId author) => (batch, plan) =>
    {
        batch.Add(SignMessage, [plan.Context.UserMessageId.Value, author.Value, plan.IsQueued])
            .Add(AppendQuestion, [room.Id.Value, plan.Context.UserMessageId.Value, plan.Context.RunId.Value, plan.Ahead]);
        signals.Tell(batch, room.Id);
    };

    /// <summary>A message to the people alone.</summary>
    public Task SayAsync(RoomAccess room, OwnerId author, MessageId id, string text, string? selected, CancellationToken ct)
    {
        var batch = database.ForOwner(room.Id.Value).CreateBatch()
            .Add(LockConversation, [room.Conversation.Value])
            .Add(AppendMessage, [room.Id.Value, id.Value, room.Conversation.Value, text, room.DisplayName, author.Value, selected]);
        signals.Tell(batch, room.Id);
        return batch.ExecuteAsync(ct);
    }

    /// <summary>The room's log is read first: a message that comes in between is in the snapshot and in the log, and told once.</summary>
    public async Task<RoomSnapshot> SnapshotAsync(RoomAccess room, CancellationToken ct)
    {
        var batch = database.ForOwner(room.Id.Value).CreateBatch()
            .Add("select last_seq from rooms where id = $1", [room.Id.Value])
            .Add(SelectOpenRuns, [room.Conversation.Value]);
        var (lastSeq, runs) = await batch.ReadAsync((reader, token) => ReadRunsAsync(reader, room.Conversation, token), ct);
        var page = await conversations.HistoryAsync(room.Owner, room.Conversation, MaxMessages, position: 0, fromNewest: true, ct) ?? throw RoomErrors.NotFound();
        return new(lastSeq, page.Items, runs);
    }

    /// <param name="socket">Whose presence is renewed; null: only looks.</param>
    public Task<RoomNews> LookAsync(RoomId room, OwnerId member, Guid? socket, long after, CancellationToken ct)
    {
        var batch = database.ForOwner(room.Value).CreateBatch();
        if (socket is { } open)
            batch.Add(Touch, [room.Value, open, member.Value]).Add(Sweep, [room.Value, options.Value.PresenceLife]);
        batch.Add(SelectRole, [room.Value, member.Value])
            .Add(SelectEntries, [room.Value, after, MaxEntries])
            .Add(SelectOnline, [room.Value, options.Value.PresenceLife]);
        return batch.ReadAsync(ReadNewsAsync, ct);
    }

    public Task EnterAsync(RoomId room, OwnerId member, Guid socket, CancellationToken ct)
    {
        var batch = database.ForOwner(room.Value).CreateBatch().Add(Touch, [room.Value, socket, member.Value]);
        signals.Tell(batch, room);
        return batch.ExecuteAsync(ct);
    }

    public Task LeaveAsync(RoomId room, Guid socket, CancellationToken ct)
    {
        var batch = database.ForOwner(room.Value).CreateBatch().Add("delete from room_presence where socket_id = $1", [socket]);
        signals.Tell(batch, room);
        return batch.ExecuteAsync(ct);
    }

    private static async Task<(long LastSeq, List<RunState> Runs)> ReadRunsAsync(NpgsqlDataReader reader, ConversationId conversation, CancellationToken ct)
    {
        if (!await reader.ReadAsync(ct))
            throw RoomErrors.NotFound();
        var lastSeq = reader.GetInt64(0);
        await reader.NextResultAsync(ct);
        var runs = new List<RunState>();
        while (await reader.ReadAsync(ct))
        {
            runs.Add(new()
            {
                Id = new(reader.GetGuid(0)),
                ConversationId = conversation,
                Status = (RunStatus)reader.GetInt16(1),
                Agent = reader.GetString(2),
                Model = reader.GetString(3),
                CreatedAt = reader.Time(4),
                LastSeq = reader.GetInt64(5),
            });
        }

        return (lastSeq, runs);
    }

    private static async Task<RoomNews> ReadNewsAsync(NpgsqlDataReader reader, CancellationToken ct)
    {
        RoomRole? role = await reader.ReadAsync(ct) ? RoomStore.Role(reader.GetString(0)) : null;
        await reader.NextResultAsync(ct);
        var entries = new List<RoomEntry>();
        while (await reader.ReadAsync(ct))
            entries.Add(ReadEntry(reader));
        await reader.NextResultAsync(ct);
        var online = new List<OwnerId>();
        while (await reader.ReadAsync(ct))
            online.Add(new(reader.GetGuid(0)));
        return new(role, entries, online);
    }

    private static RoomEntry ReadEntry(NpgsqlDataReader reader) =>
        new(reader.GetInt64(0), reader.IsDBNull(3) ? null : ReadMessage(reader), reader.GetInt32(1));

    private static HistoryMessage ReadMessage(NpgsqlDataReader reader) => new()
    {
        Id = new(reader.GetGuid(3)),
        ParentId = reader.NullableGuid(4) is { } parent ? new MessageId(parent) : null,
        Role = ChatRole.User,
        Content = reader.GetString(5),
        SelectedText = reader.NullableString(9),
        Author = reader.NullableString(6),
        AuthorId = reader.NullableGuid(7) is { } author ? new OwnerId(author) : null,
        RunId = reader.NullableGuid(2) is { } run ? new RunId(run) : null,
        Status = RunStatus.Completed,
        Citations = [],
        ToolCalls = [],
        CreatedAt = reader.Time(8),
    };
}
