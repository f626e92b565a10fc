using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Runs;

/// <summary>An event on its way into the log; with an outcome if it is the run's last, with the run itself if it is the first.</summary>
internal readonly record struct PendingEvent(RunHandle Run, RunEvent Event, RunOutcome? Outcome, RunStart? Start = null);

/// <summary>
/// What one transaction of the log holds of one run. Neighbouring deltas are joined: at low load an event is one token, at high load
/// it is whatever came while the last commit was under way.
/// </summary>
internal sealed class RunBatch(RunHandle run)
{
    /// <summary>UTF-16 characters of one joined delta, so that no event grows without bound.</summary>
    private const int MaxDeltaLength = 4096;

    private readonly List<RunEvent> _events = new(capacity: 1);
    private MessageDelta? _delta;
    private StringBuilder? _joined;

    public RunHandle Run => run;

    /// <summary>Set where the run itself has to be written first.</summary>
    public RunStart? Start { get; private set; }

    public RunOutcome? Outcome { get; private set; }

    public RunEvent? Terminal { get; private set; }

    /// <summary>Numbered and serialized; filled by <see cref="Seal"/>.</summary>
    public StoredEvent[] Stored { get; private set; } = [];

    /// <summary>True when what follows from these events may not be forgotten in a power cut.</summary>
    public bool NeedsDisk { get; private set; }

    public void Add(PendingEvent pending)
    {
        if (pending.Event is MessageDelta delta)
        {
            Join(delta);
            return;
        }

        CloseDelta();
        _events.Add(pending.Event);
        NeedsDisk |= pending.Event is not (CitationAdded or ContextRecalled or UsageReported);
        if (pending.Outcome is { } outcome)
            (Outcome, Terminal) = (outcome, pending.Event);
        Start ??= pending.Start;
    }

    /// <summary>Numbers the events after the run's last one and turns them into the bytes that are stored and sent.</summary>
    public void Seal(DateTimeOffset at)
    {
        CloseDelta();
        Stored = new StoredEvent[_events.Count];
        for (var i = 0; i < Stored.Length; i++)
        {
            var (evt, seq) = (_events[i], run.LastSeq + i + 1);
            if (evt is MessageDelta delta)
            {
                Stored[i] = StoredEvent.FromDelta(run.RunId, seq, at, delta.Text);
                continue;
            }

            var numbered = evt with { RunId = run.RunId, Seq = seq, At = at };
            Stored[i] = StoredEvent.From(numbered);
            if (ReferenceEquals(evt, Terminal))
                Terminal = numbered;
        }
    }

    /// <summary>Most often it is the only one, and stays as it is.</summary>
    private void Join(MessageDelta delta)
    {
        if (delta.Text.Length == 0)
            return;
        if ((_joined?.Length ?? _delta?.Text.Length ?? 0) + delta.Text.Length > MaxDeltaLength)
            CloseDelta();
        if (_delta is null)
            _delta = delta;
        else
            (_joined ??= new(_delta.Text)).Append(delta.Text);
    }

    private void CloseDelta()
    {
        if (_delta is null)
            return;
        _events.Add(_joined is null ? _delta : new MessageDelta { Text = _joined.ToString() });
        (_delta, _joined) = (null, null);
    }
}

/// <summary>The statements of one transaction of the log.</summary>
internal static class RunLogSql
{
    /// <summary>
    /// The end of a run and its answer in the history. Goes before the events so that everybody locks a run before its events. The
    /// fence keeps out a process that was taken for dead.
    /// </summary>
    private const string EndRuns = """
        with ends as (
            select * from unnest($1::uuid[], $2::int[], $3::smallint[], $4::bigint[], $5::text[], $6::text[])
                as e(run_id, fence, status, last_seq, content, details)
        ), ended as (
            update runs r set status = e.status, last_seq = e.last_seq, ended_at = now()
            from ends e where r.id = e.run_id and r.fence = e.fence and r.ended_at is null
            returning r.id, r.owner_id, r.conversation_id, r.answer_id, r.user_message_id, e.status, e.content, e.details
        )
        insert into messages (id, owner_id, conversation_id, parent_id, role, content, run_id, status, details)
        select d.answer_id, d.owner_id, d.conversation_id, d.user_message_id, 1, d.content, d.id, d.status, d.details::json
        from ended d join conversations c on c.id = d.conversation_id and c.is_kept
        """;

    /// <summary>Each run's events only under its current fence: a stale writer's rows affect nothing.</summary>
    private const string InsertEvents = """
        insert into run_events (run_id, seq, owner_id, fence, type, data)
        select e.run_id, e.seq, r.owner_id, e.fence, e.type, e.data
        from unnest($1::uuid[], $2::bigint[], $3::int[], $4::text[], $5::bytea[]) as e(run_id, seq, fence, type, data)
        join runs r on r.id = e.run_id and r.fence = e.fence
        returning run_id
        """;

    /// <summary>What of these runs is in the log under their own fence, and whether that fence still holds.</summary>
    private const string Reconcile = """
        select w.run_id, r.id is not null, coalesce((select max(e.seq) from run_events e where e.run_id = w.run_id and e.fence = w.fence), 0)
        from unnest($1::uuid[], $2::int[]) as w(run_id, fence)
        left join runs r on r.id = w.run_id and r.fence = w.fence
        """;

    /// <summary>Commits the batches together.</summary>
    /// <returns>The runs whose events were accepted; the others belong to another process now, or were deleted.</returns>
    public static async Task<HashSet<Guid>> CommitAsync(
        DbScope worker, IReadOnlyList<RunBatch> batches, Action<DbBatch>? notify, CancellationToken ct)
    {
        var batch = worker.CreateBatch().ByIndex().PlannedOnce();
        if (!batches.Any(run => run.NeedsDisk))
            batch.Relaxed();
        RunStart[] starts = [.. batches.Select(run => run.Start).OfType<RunStart>()];
        var hasRequirements = Array.Exists(starts, start => start.Basis is not null);
        if (hasRequirements)
            RunCreation.AddRequirements(batch, starts);
        if (starts.Length > 0)
            RunCreation.Add(batch, starts);
        var ends = batches.Where(run => run.Outcome is not null).ToArray();
        if (ends.Length > 0)
            batch.Add(EndRuns, EndParameters(ends));

        // The first result that is read; what follows may have results of its own.
        batch.Add(InsertEvents, EventParameters(batches));
        foreach (var also in ends.SelectMany(run => run.Outcome!.Also))
            also(batch);
        notify?.Invoke(batch);
        return await batch.ReadAsync(
            async (reader, token) =>
            {
                if (hasRequirements)
                    await reader.NextResultAsync(token);
                return await ReadAcceptedAsync(reader, batches.Count, token);
            },
            ct);
    }

    /// <summary>After a commit whose reply was lost, or a conflict: the newest own event of each run that is still ours.</summary>
    public static async Task<Dictionary<Guid, long>> ReconcileAsync(DbScope worker, IReadOnlyList<RunBatch> batches, CancellationToken ct)
    {
        var rows = await worker.QueryAsync(
            Reconcile,
            [batches.Select(b => b.Run.RunId.Value).ToArray(), batches.Select(b => b.Run.Fence).ToArray()],
            reader => (Id: reader.GetGuid(0), IsOurs: reader.GetBoolean(1), LastSeq: reader.GetInt64(2)),
            ct);
        return rows.Where(row => row.IsOurs).ToDictionary(row => row.Id, row => row.LastSeq);
    }

    private static async Task<HashSet<Guid>> ReadAcceptedAsync(NpgsqlDataReader reader, int runs, CancellationToken ct)
    {
        var accepted = new HashSet<Guid>(runs);
        while (await reader.ReadAsync(ct))
            accepted.Add(reader.GetGuid(0));
        return accepted;
    }

    private static object[] EndParameters(RunBatch[] ends) =>
    [
        ends.Select(b => b.Run.RunId.Value).ToArray(),
        ends.Select(b => b.Run.Fence).ToArray(),
        ends.Select(b => (short)b.Outcome!.Status).ToArray(),
        ends.Select(b => b.Stored[^1].Seq).ToArray(),
        ends.Select(b => b.Outcome!.Text).ToArray(),
        ends.Select(b => JsonSerializer.Serialize(b.Outcome!.Details, ContractJson.Options)).ToArray(),
    ];

    private static object[] EventParameters(IReadOnlyList<RunBatch> batches)
    {
        var count = batches.Sum(b => b.Stored.Length);
        var (ids, seqs, fences) = (new Guid[count], new long[count], new int[count]);
        var (types, data) = (new string[count], new ReadOnlyMemory<byte>[count]);
        var i = 0;
        foreach (var batch in batches)
        {
            foreach (var evt in batch.Stored)
            {
                (ids[i], seqs[i], fences[i]) = (batch.Run.RunId.Value, evt.Seq, batch.Run.Fence);
                (types[i], data[i]) = (evt.Type, evt.Data);
                i++;
            }
        }

        return [ids, seqs, fences, types, data];
    }
}
