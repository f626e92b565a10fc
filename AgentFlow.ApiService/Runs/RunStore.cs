using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Runs;

/// <summary>What a reader of a run's log must know of the run.</summary>
/// <param name="LastSeq">Of the newest committed event.</param>
internal sealed record RunRow(RunState State, long LastSeq, bool IsLogExpired, Guid HostId, MessageId UserMessageId, MessageId AnswerId);

/// <summary>A run that was taken over from a process that died.</summary>
/// <param name="IsToStop">Somebody asked it to stop meanwhile.</param>
internal sealed record AdoptedRun(RunId RunId, OwnerId OwnerId, ConversationId ConversationId, int Fence, RunStatus Status, bool IsToStop);

/// <summary>One message of a branch.</summary>
/// <param name="Author">In a room, who wrote it.</param>
/// <param name="SelectedText">What it asked about.</param>
/// <param name="ReadUntrusted">See <see cref="PastTurn.ReadUntrusted"/>.</param>
internal sealed record BranchMessage(MessageId Id, ChatRole Role, string Content, string? Author, string? SelectedText = null, bool ReadUntrusted = false)
{
    public PastTurn ToTurn() => new(Role, Speaker.Sign(Author, Content), SelectedText, ReadUntrusted);
}

/// <summary>The rows of runs and of their logs, outside the log's writer.</summary>
internal sealed class RunStore(Database database)
{
    private const string SelectRun = """
        select r.id, r.conversation_id, r.status, r.agent, r.model, r.created_at, r.ended_at, r.log_expired, r.host_id, r.user_message_id, r.answer_id,
               coalesce(r.last_seq, (select max(e.seq) from run_events e where e.run_id = r.id), 0)
        from runs r where r.id = $1
        """;

    private const string SelectEvents = "select seq, type, data from run_events where run_id = $1 and seq > $2 order by seq limit $3";

    /// <summary>The branch that ends at <c>$2</c>, or at the newest message; oldest first, at most <c>$3</c> messages from its end.</summary>
    internal const string SelectBranch = """
        with recursive branch as (
            select m.id, m.parent_id, m.role, m.content, m.author, m.selected_text, m.read_untrusted, 1 as depth from messages m
            where m.conversation_id = $1
              and m.id = coalesce($2::uuid, (select n.id from messages n where n.conversation_id = $1 order by n.position desc limit 1))
            union all
            select m.id, m.parent_id, m.role, m.content, m.author, m.selected_text, m.read_untrusted, b.depth + 1 from branch b
            join messages m on m.id = b.parent_id and m.conversation_id = $1
            where b.depth < $3
        )
        select id, role, content, author, selected_text, read_untrusted from branch order by depth desc
        """;

    /// <summary>In a room nobody branches off: all messages up to <c>$2</c>, or all, but for questions that still wait; at most <c>$3</c>.</summary>
    internal const string SelectRecent = """
        select id, role, content, author, selected_text, read_untrusted from (
            select m.id, m.role, m.content, m.author, m.selected_text, m.read_untrusted, m.position from messages m
            where m.conversation_id = $1 and ($2::uuid is null or m.position <= (select n.position from messages n where n.id = $2))
              and not exists (select from runs q where q.user_message_id = m.id and q.status = 0)
            order by m.position desc limit $3
        ) recent order by position
        """;

    private const string SelectTails = """
        select e.run_id, e.seq, e.type, e.data
        from unnest($1::uuid[], $2::bigint[]) as w(run_id, seq)
        join lateral (select * from run_events e where e.run_id = w.run_id and e.seq > w.seq order by e.seq limit 500) e on true
        order by e.run_id, e.seq
        """;

    /// <summary>Starts a waiting run if the conversation is free and nobody waits longer; its question then follows the newest message that has been answered or needs no answer.</summary>
    private const string Promote = """
        with promoted as (
            update runs r set status = 1
            where r.id = $1 and r.status = 0 and r.fence = $2
              and not exists (select from runs a where a.conversation_id = r.conversation_id and a.status in (1, 2))
              and not exists (select from runs q where q.conversation_id = r.conversation_id and q.status = 0 and q.position < r.position)
            returning r.user_message_id, r.conversation_id
        ), moved as (
            update messages m set position = default, parent_id = coalesce(
                (select n.id from messages n where n.conversation_id = p.conversation_id and n.id <> m.id
                   and not exists (select from runs q where q.user_message_id = n.id and q.status = 0)
                 order by n.position desc limit 1), m.parent_id)
            from promoted p where m.id = p.user_message_id
        )
        select count(*) from promoted
        """;

    private const string PutBack = "update runs set status = 0 where id = $1 and status = 1 and fence = $2";

    private const string AskToStop = "update runs set cancel_requested = true where id = $1 and ended_at is null";

    private const string AddContext = """
        insert into run_additions (id, owner_id, run_id, context, is_taken)
        select $3, r.owner_id, r.id, $2::json, $5 from runs r
        where r.id = $1 and r.ended_at is null and (select count(*) from run_additions where run_id = $1) < $4
        """;

    /// <summary>Only for runs that are known here: what comes for one that is just being taken over is brought by <see cref="TakeAllContext"/>.</summary>
    private const string TakeContext = """
        with taken as (
            update run_additions a set is_taken = true from runs r
            where a.run_id = any($2::uuid[]) and not a.is_taken and r.id = a.run_id and r.host_id = $1
            returning a.position, a.run_id, a.context::text
        )
        select run_id, context from taken order by position
        """;

    private const string TakeAllContext = """
        with taken as (update run_additions set is_taken = true where run_id = $1 returning position, context::text)
        select context from taken order by position
        """;

    private const string ExpireLogs = """
        with expired as (
            update runs set log_expired = true
            where id in (select id from runs where ended_at < now() - $1::interval and not log_expired order by ended_at limit 500)
            returning id
        )
        delete from run_events where run_id in (select id from expired)
        """;

    private const string DropStateless = """
        delete from conversations c where not c.is_kept and c.updated_at < now() - $1::interval
          and not exists (select from runs r where r.conversation_id = c.id and not r.log_expired)
        """;

    public Task<RunRow?> FindAsync(OwnerId owner, RunId run, CancellationToken ct) =>
        database.ForOwner(owner.Value).QuerySingleAsync(SelectRun, [run.Value], ReadRun, ct);

    public Task<List<StoredEvent>> ReadEventsAsync(OwnerId owner, RunId run, long after, int limit, CancellationToken ct) =>
        database.ForOwner(owner.Value).QueryAsync(SelectEvents, [run.Value, after, limit], ReadEvent, ct);

    /// <summary>The next events of many runs at once, for those that another process executes.</summary>
    public Task<List<(Guid RunId, StoredEvent Event)>> ReadTailsAsync(Guid[] runs, long[] after, CancellationToken ct) =>
        database.AsWorker().QueryAsync(
            SelectTails, [runs, after], reader => (reader.GetGuid(0), new StoredEvent(reader.GetInt64(1), reader.GetString(2), reader.GetFieldValue<byte[]>(3))), ct);

    public Task<List<BranchMessage>> ReadBranchAsync(OwnerId owner, ConversationId conversation, MessageId? end, bool isRoom, int limit, CancellationToken ct) =>
        database.ForOwner(owner.Value).QueryAsync(isRoom ? SelectRecent : SelectBranch, [conversation.Value, end?.Value, limit], ReadBranchMessage, ct);

    internal static BranchMessage ReadBranchMessage(NpgsqlDataReader reader) =>
        new(new(reader.GetGuid(0)), (ChatRole)reader.GetInt16(1), reader.GetString(2), reader.NullableString(3), reader.NullableString(4), reader.GetBoolean(5));

    /// <returns>False while the conversation is busy.</returns>
    public async Task<bool> TryPromoteAsync(OwnerId owner, RunId run, int fence, CancellationToken ct)
    {
        try
        {
            return await database.ForOwner(owner.Value).QuerySingleAsync(Promote, [run.Value, fence], reader => reader.GetInt64(0), ct) > 0;
        }
        catch (PostgresException error) when (error.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            return false;
        }
    }

    /// <summary>A run whose turn had come, and that nobody began, waits for it again.</summary>
    public Task<int> PutBackAsync(AdoptedRun run, CancellationToken ct) => database.ForOwner(run.OwnerId.Value).ExecuteAsync(PutBack, [run.RunId.Value, run.Fence], ct);

    /// <summary>Leaves word for the process that executes the run, in the row and as a notification.</summary>
    public async Task AskToStopAsync(OwnerId owner, RunId run, Action<DbBatch> notify, CancellationToken ct)
    {
        var batch = database.ForOwner(owner.Value).CreateBatch().Add(AskToStop, [run.Value]);
        notify(batch);
        await batch.ExecuteAsync(ct);
    }

    /// <summary>Keeps something more for the process that executes the run.</summary>
    /// <param name="isTaken">That process is this one, and has it.</param>
    /// <returns>False when the run has ended, or has taken as much as it may.</returns>
    public async Task<bool> AddContextAsync(OwnerId owner, RunId run, JsonElement context, bool isTaken, Action<DbBatch> notify, CancellationToken ct)
    {
        var batch = database.ForOwner(owner.Value).CreateBatch().Add(AddContext, [run.Value, context.GetRawText(), Guid.CreateVersion7(), RunAdditions.Max, isTaken]);
        notify(batch);
        return await batch.ExecuteAsync(ct) > 0;
    }

    /// <summary>What other processes were handed for the runs of this one; each once.</summary>
    public Task<List<(RunId Run, JsonElement Context)>> TakeContextAsync(Guid host, Guid[] runs, CancellationToken ct) =>
        database.AsWorker().QueryAsync(TakeContext, [host, runs], reader => (new RunId(reader.GetGuid(0)), reader.Json(1)), ct);

    /// <summary>All that one run was ever handed, for the process that takes it over.</summary>
    public Task<List<JsonElement>> TakeAllContextAsync(RunId run, CancellationToken ct) =>
        database.AsWorker().QueryAsync(TakeAllContext, [run.Value], reader => reader.Json(0), ct);

    public Task<List<RunId>> OpenRunsAsync(OwnerId owner, ConversationId conversation, CancellationToken ct) =>
        database.ForOwner(owner.Value).QueryAsync(
            "select id from runs where conversation_id = $1 and ended_at is null order by position desc",
            [conversation.Value], reader => new RunId(reader.GetGuid(0)), ct);

    /// <summary>Drops up to 500 logs that are older than the retention; their messages stay.</summary>
    public Task<int> ExpireLogsAsync(TimeSpan retention, CancellationToken ct) => database.AsWorker().ExecuteAsync(ExpireLogs, [retention], ct);

    /// <summary>What stateless requests left behind goes with their logs.</summary>
    public Task<int> DropStatelessAsync(TimeSpan retention, CancellationToken ct) => database.AsWorker().ExecuteAsync(DropStateless, [retention], ct);

    private static RunRow ReadRun(NpgsqlDataReader reader)
    {
        var lastSeq = reader.GetInt64(11);
        var state = new RunState
        {
            Id = new(reader.GetGuid(0)),
            ConversationId = new(reader.GetGuid(1)),
            Status = (RunStatus)reader.GetInt16(2),
            Agent = reader.GetString(3),
            Model = reader.GetString(4),
            CreatedAt = reader.Time(5),
            EndedAt = reader.NullableTime(6),
            LastSeq = lastSeq,
        };
        return new(state, lastSeq, reader.GetBoolean(7), reader.GetGuid(8), new(reader.GetGuid(9)), new(reader.GetGuid(10)));
    }

    private static StoredEvent ReadEvent(NpgsqlDataReader reader) => new(reader.GetInt64(0), reader.GetString(1), reader.GetFieldValue<byte[]>(2));
}
