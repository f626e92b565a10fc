using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Tools;

internal sealed record ApprovalDecision(string Decision, JsonElement? Arguments);

/// <summary>What became of a person's answer.</summary>
/// <param name="Now">What holds.</param>
/// <param name="IsTaken">This answer made it so.</param>
internal sealed record ApprovalOutcome(ApprovalDecision Now, bool IsTaken)
{
    /// <summary>Why an answer that does not hold came in vain.</summary>
    public string Closed => Now.Decision is "expired" or ApprovalStore.Pending ? "Nobody answered in time; the call was not made." : "This call has been decided already.";

    /// <summary>Also for the same answer once more.</summary>
    public bool Holds(ApprovalChoice choice) => IsTaken || Now.Decision == (choice == ApprovalChoice.Approve ? ApprovalStore.Approved : ApprovalStore.Denied);
}

/// <summary>Questions to people about tool calls, one row each. A decision is made once; the database's clock says when one expired.</summary>
internal sealed class ApprovalStore(Database database, Notifications notifications)
{
    public const string Pending = "pending";
    public const string Approved = "approve";
    public const string Denied = "deny";

    private const string Topic = "approval";

    // The run's status follows: 1 running, 2 awaiting approval.
    private const string Insert = """
        insert into tool_approvals (owner_id, run_id, call_id, tool, arguments, expires_at) values ($1, $2, $3, $4, $5::json, $6)
        """;

    private const string MarkWaiting = "update runs set status = 2 where id = $1 and owner_id = $2 and status = 1";

    private const string MarkRunning = """
        update runs set status = 1 where id = $1 and owner_id = $2 and status = 2
          and not exists (select from tool_approvals where run_id = $1 and decision = 'pending')
        """;

    private const string Expire = """
        update tool_approvals set decision = 'expired', decided_at = now()
        where run_id = $1 and call_id = $2 and owner_id = $3 and decision = 'pending' and expires_at <= now()
        """;

    private const string Read = "select decision, decided_arguments::text from tool_approvals where run_id = $1 and call_id = $2 and owner_id = $3";

    private const string Decide = """
        update tool_approvals set decision = $4, decided_arguments = $5::json, decided_at = now()
        where run_id = $1 and call_id = $2 and owner_id = $3 and decision = 'pending' and expires_at > now()
        """;

    public static string Key(RunId run, string callId) => $"{run}/{callId}";

    public IDisposable OnDecision(Action<string> handler) => notifications.Subscribe(Topic, handler);

    public Task AskAsync(OwnerId owner, RunId run, string callId, string tool, JsonElement arguments, DateTimeOffset expiresAt, CancellationToken ct) =>
        database.ForOwner(owner.Value).CreateBatch()
            .Add(Insert, [owner.Value, run.Value, callId, tool, arguments.GetRawText(), expiresAt.UtcDateTime])
            .Add(MarkWaiting, [run.Value, owner.Value])
            .ExecuteAsync(ct);

    /// <summary>What holds now; an expired question is closed by this.</summary>
    public async Task<ApprovalDecision> ReadAsync(OwnerId owner, RunId run, string callId, CancellationToken ct)
    {
        var batch = database.ForOwner(owner.Value).CreateBatch()
            .Add(Expire, [run.Value, callId, owner.Value])
            .Add(MarkRunning, [run.Value, owner.Value])
            .Add(Read, [run.Value, callId, owner.Value]);
        return await batch.ReadAsync(
            async (reader, token) => await reader.ReadAsync(token)
                ? new ApprovalDecision(reader.GetString(0), reader.NullableJson(1))
                : new ApprovalDecision(Denied, null),
            ct);
    }

    /// <summary>Takes a person's answer.</summary>
    /// <returns>Null: there is no such question.</returns>
    public async Task<ApprovalOutcome?> DecideAsync(
        OwnerId owner, RunId run, string callId, ApprovalChoice choice, JsonElement? arguments, CancellationToken ct)
    {
        var batch = database.ForOwner(owner.Value).CreateBatch().Add(
            Decide, [run.Value, callId, owner.Value, choice == ApprovalChoice.Approve ? Approved : Denied, arguments?.GetRawText()]);
        notifications.Notify(batch, Topic, Key(run, callId));
        var taken = await batch.ExecuteAsync(ct) > 0;
        var now = await database.ForOwner(owner.Value).QuerySingleAsync(
            Read, [run.Value, callId, owner.Value], reader => new ApprovalDecision(reader.GetString(0), reader.NullableJson(1)), ct);
        return now is null ? null : new(now, taken);
    }
}
