using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Runs;

/// <summary>The SQL of a run's beginning: one round trip to look, one transaction to write.</summary>
internal sealed class RunCreation(Database database)
{
    private const string SelectReplay = "select id, conversation_id, request_hash, status from runs where idempotency_key = $1";

    private const string SelectConversation = "select agent from conversations where id = $1 and is_kept";

    private const string SelectOpenRuns = "select id, answer_id from runs where conversation_id = $1 and ended_at is null order by position";

    private const string InsertConversation = "insert into conversations (id, owner_id, title, agent, is_kept) values ($1, $2, $3, $4, $5)";

    private const string TouchConversation = "update conversations set updated_at = now() where id = $1";

    private const string InsertMessage = """
        insert into messages (id, owner_id, conversation_id, parent_id, role, content, author, run_id, status, selected_text)
        values ($1, $2, $3, $4::uuid, 0, $5, $6::text, $7, $8, $9::text)
        """;

    private const string InsertRun = """
        insert into runs (id, owner_id, conversation_id, user_message_id, answer_id, agent, model, status, host_id, idempotency_key, request_hash, input)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text, $11::bytea, $12::json)
        """;

    private const string InsertEvent = "insert into run_events (run_id, seq, owner_id, fence, type, data) values ($1, $2, $3, 1, $4, $5)";

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

    public Task WriteAsync(RunRequest request, RunPlan plan, StoredEvent first, Guid hostId, CancellationToken ct)
    {
        var context = plan.Context;
        var (owner, conversation) = (request.Owner.Value, context.ConversationId.Value);
        var batch = database.ForOwner(owner).CreateBatch();
        if (plan.IsNewConversation)
            batch.Add(InsertConversation, [conversation, owner, Title.From(request.Question), context.Agent.Slug, context.IsKept]);
        else
            batch.Add(TouchConversation, [conversation]);
        if (plan.AddsMessage)
        {
            batch.Add(InsertMessage, [
                context.UserMessageId.Value, owner, conversation, plan.ParentId?.Value, request.Question, request.Author, context.RunId.Value, (short)RunStatus.Completed,
                request.SelectedText]);
        }

        var status = (short)(plan.IsQueued ? RunStatus.Queued : RunStatus.Running);
        batch.Add(InsertRun, [
            context.RunId.Value, owner, conversation, context.UserMessageId.Value, context.MessageId.Value, context.Agent.Slug, context.Model, status, hostId,
            request.Idempotency?.Key, request.Idempotency?.RequestHash, Input(context)]);
        batch.Add(InsertEvent, [context.RunId.Value, first.Seq, owner, first.Type, first.Data]);
        if (plan.IsQueued)
            RunCheckpoints.AddUnbegun(batch, context);
        request.Announce?.Invoke(batch, plan);
        return batch.ExecuteAsync(ct);
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
