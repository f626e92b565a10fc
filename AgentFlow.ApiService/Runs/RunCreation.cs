using System.Text.Json;
using AgentFlow.ApiService.Agents;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Problems;
using Npgsql;

namespace AgentFlow.ApiService.Runs;

/// <summary>The SQL of a run's beginning: one round trip to look, one transaction to write, which may be of many runs.</summary>
internal sealed class RunCreation(Database database)
{
    private const string SelectReplay = "select id, conversation_id, request_hash, status from runs where idempotency_key = $1";

    private const string SelectConversation = "select agent from conversations where id = $1 and is_kept";

    private const string SelectOpenRuns = "select id, answer_id from runs where conversation_id = $1 and ended_at is null order by position";

    private const string RequireAgents = """
        select refuse_stale_agent() from unnest($1::uuid[], $2::text[], $3::int[], $4::bool[]) as s(owner_id, slug, version, is_default)
        where s.version <> coalesce((select max(a.version) from agents a where a.owner_id = s.owner_id and a.slug = s.slug), 0)
           or (s.is_default and s.slug <> coalesce((select u.default_agent from users u where u.owner_id = s.owner_id), $5))
        """;

    private const string InsertConversations = """
        insert into conversations (id, owner_id, title, agent, is_kept) select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bool[])
        """;

    private const string TouchConversations = """
        update conversations c set updated_at = now(), agent = coalesce(s.agent, c.agent)
        from unnest($1::uuid[], $2::uuid[], $3::text[]) as s(id, owner_id, agent) where c.id = s.id and c.owner_id = s.owner_id
        """;

    /// <summary>Only into a conversation of the owner's own, which may have been deleted since it was read.</summary>
    private const string InsertMessages = """
        insert into messages (id, owner_id, conversation_id, parent_id, role, content, author, run_id, status, selected_text)
        select s.id, s.owner_id, s.conversation_id, s.parent_id, 0, s.content, s.author, s.run_id, $9, s.selected_text
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::text[])
            as s(id, owner_id, conversation_id, parent_id, content, author, run_id, selected_text)
        join conversations c on c.id = s.conversation_id and c.owner_id = s.owner_id
        """;

    private const string InsertRuns = """
        insert into runs (id, owner_id, conversation_id, user_message_id, answer_id, agent, model, status, host_id, idempotency_key, request_hash, input)
        select s.id, s.owner_id, s.conversation_id, s.user_message_id, s.answer_id, s.agent, s.model, s.status, s.host_id, s.idempotency_key, s.request_hash, s.input::json
        from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::smallint[], $9::uuid[], $10::text[], $11::bytea[], $12::text[])
            as s(id, owner_id, conversation_id, user_message_id, answer_id, agent, model, status, host_id, idempotency_key, request_hash, input)
        join conversations c on c.id = s.conversation_id and c.owner_id = s.owner_id
        """;

    private const string InsertEvent = """
        insert into run_events (run_id, seq, owner_id, fence, type, data) select r.id, $2, r.owner_id, 1, $3, $4 from runs r where r.id = $1 returning run_id
        """;

    public Task<ExistingState> ReadAsync(RunRequest request, int maxBranch, CancellationToken ct)
    {
        if (request.ConversationId is null && request.Idempotency is null)
            return Task.FromResult(new ExistingState());
        var batch = database.ForOwner(request.Owner.Value).CreateBatch().Add(SelectReplay, [request.Idempotency?.Key ?? string.Empty]);
        if (request.ConversationId is { } conversation)
        {
            batch.Add(SelectConversation, [conversation.Value])
                .Add(SelectOpenRuns, [conversation.Value])
                .Add(request.Author is null ? RunStore.SelectBranch : RunStore.SelectRecent, [conversation.Value, request.ParentMessageId?.Value, maxBranch]);
        }

        return batch.ReadAsync((reader, token) => ReadStateAsync(reader, request, token), ct);
    }

    /// <summary>Frees the key of an answer that broke off, so that its repetition is asked anew.</summary>
    public Task<int> ForgetKeyAsync(OwnerId owner, RunId run, CancellationToken ct) =>
        database.ForOwner(owner.Value).ExecuteAsync("update runs set idempotency_key = null where id = $1 and status = $2", [run.Value, (short)RunStatus.Interrupted], ct);

    /// <summary>Writes a run that has to wait, or that others are told of in the same transaction. Every other is begun by <see cref="RunLog.BeginAsync"/>.</summary>
    /// <exception cref="ProblemException">404: the conversation is gone.</exception>
    public async Task WriteAsync(RunStart start, StoredEvent first, CancellationToken ct)
    {
        var context = start.Plan.Context;
        var batch = database.ForOwner(context.OwnerId.Value).CreateBatch();
        Add(batch, [start]);
        batch.Add(InsertEvent, [context.RunId.Value, first.Seq, first.Type, first.Data]);
        if (start.Plan.IsQueued)
            RunCheckpoints.AddUnbegun(batch, context);
        start.Request.Announce?.Invoke(batch, start.Plan);
        if (!await batch.ReadAsync((reader, token) => reader.ReadAsync(token), ct))
            throw RunErrors.NoConversation();
    }

    /// <summary>Refuses the transaction where an agent was chosen by what has changed since; one empty result.</summary>
    public static void AddRequirements(DbBatch batch, IReadOnlyList<RunStart> starts)
    {
        RunStart[] remembered = [.. starts.Where(start => start.Basis is not null)];
        batch.Add(RequireAgents, [
            Column(remembered, start => start.Plan.Context.OwnerId.Value), Column(remembered, start => start.Basis!.Slug),
            Column(remembered, start => start.Basis!.Version), Column(remembered, start => start.Basis!.IsDefault), AgentDefinition.Default]);
    }

    /// <summary>The statements that begin these runs, without their first events; no results.</summary>
    public static void Add(DbBatch batch, IReadOnlyList<RunStart> starts)
    {
        AddConversations(batch, [.. starts.Where(start => start.Plan.IsNewConversation)]);
        var known = starts.Where(start => !start.Plan.IsNewConversation).ToArray();
        if (known.Length > 0)
        {
            batch.Add(TouchConversations, [
                Column(known, start => start.Plan.Context.ConversationId.Value), Column(known, start => start.Plan.Context.OwnerId.Value), Column(known, AgentToKeep)]);
        }

        AddMessages(batch, [.. starts.Where(start => start.Plan.AddsMessage)]);
        AddRuns(batch, starts);
    }

    /// <summary>A conversation goes on with the agent that was named last; a room's agent is the room's own.</summary>
    private static string? AgentToKeep(RunStart start) =>
        start.Request is { Agent: not null, Author: null } ? start.Plan.Context.Agent.Slug : null;

    private static void AddConversations(DbBatch batch, RunStart[] starts)
    {
        if (starts.Length == 0)
            return;
        batch.Add(InsertConversations, [
            Column(starts, start => start.Plan.Context.ConversationId.Value), Column(starts, start => start.Plan.Context.OwnerId.Value),
            Column(starts, start => Title.From(start.Request.Question)), Column(starts, start => start.Plan.Context.Agent.Slug),
            Column(starts, start => start.Plan.Context.IsKept)]);
    }

    private static void AddMessages(DbBatch batch, RunStart[] starts)
    {
        if (starts.Length == 0)
            return;
        batch.Add(InsertMessages, [
            Column(starts, start => start.Plan.Context.UserMessageId.Value), Column(starts, start => start.Plan.Context.OwnerId.Value),
            Column(starts, start => start.Plan.Context.ConversationId.Value), Column(starts, start => start.Plan.ParentId?.Value),
            Column(starts, start => start.Request.Question), Column(starts, start => start.Request.Author),
            Column(starts, start => start.Plan.Context.RunId.Value), Column(starts, start => start.Request.SelectedText), (short)RunStatus.Completed]);
    }

    private static void AddRuns(DbBatch batch, IReadOnlyList<RunStart> starts)
    {
        var runs = Column(starts, start => start.Plan.Context);
        batch.Add(InsertRuns, [
            Column(runs, run => run.RunId.Value), Column(runs, run => run.OwnerId.Value), Column(runs, run => run.ConversationId.Value),
            Column(runs, run => run.UserMessageId.Value), Column(runs, run => run.MessageId.Value), Column(runs, run => run.Agent.Slug), Column(runs, run => run.Model),
            Column(starts, start => (short)(start.Plan.IsQueued ? RunStatus.Queued : RunStatus.Running)), Column(starts, start => start.HostId),
            Column(starts, start => start.Request.Idempotency?.Key), Column(starts, start => start.Request.Idempotency?.RequestHash), Column(runs, Input)]);
    }

    private static TValue[] Column<T, TValue>(IReadOnlyList<T> rows, Func<T, TValue> value)
    {
        var column = new TValue[rows.Count];
        for (var i = 0; i < column.Length; i++)
            column[i] = value(rows[i]);
        return column;
    }

    private static string? Input(RunContext run) => run is { SelectedText: null, Context: null, TopK: null }
        ? null
        : JsonSerializer.Serialize(new { run.SelectedText, run.Context, run.TopK }, ContractJson.Options);

    private static ReplayedRun ReadReplay(NpgsqlDataReader reader) => new(new(reader.GetGuid(0)), new(reader.GetGuid(1)), reader.GetFieldValue<byte[]>(2), (RunStatus)reader.GetInt16(3));

    private static async Task<ExistingState> ReadStateAsync(NpgsqlDataReader reader, RunRequest request, CancellationToken ct)
    {
        var state = new ExistingState();
        if (await reader.ReadAsync(ct))
            state = state with { Replay = ReadReplay(reader) };
        if (request.ConversationId is null)
            return state;
        await reader.NextResultAsync(ct);
        if (await reader.ReadAsync(ct))
            state = state with { Conversation = new(reader.GetString(0)) };
        await reader.NextResultAsync(ct);
        var open = new List<OpenRun>();
        while (await reader.ReadAsync(ct))
            open.Add(new(new(reader.GetGuid(0)), new(reader.GetGuid(1))));
        await reader.NextResultAsync(ct);
        var branch = new List<BranchMessage>();
        while (await reader.ReadAsync(ct))
            branch.Add(RunStore.ReadBranchMessage(reader));
        return state with { OpenRuns = open, Branch = branch };
    }
}
