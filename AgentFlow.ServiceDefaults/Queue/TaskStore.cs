using System.Text.Json;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ServiceDefaults.Queue;

/// <summary>A task in this process' hands.</summary>
internal sealed record ClaimedTask(Guid Id, Guid OwnerId, string Kind, JsonElement Input, int Attempt, int MaxAttempts, long Fence, string? TraceParent);

/// <summary>The worker's side of the queue: every statement acts only on a claim that is still the newest (its fence).</summary>
internal sealed class TaskStore(Database database, Notifications notifications)
{
    /// <summary>Topic of the notification that wakes workers.</summary>
    public const string Due = "task_due";

    /// <summary>Topic of the notification that a task changed: <c>id</c>.</summary>
    public const string Changed = "task_changed";

    /// <summary>Owners are visited from a random point on, so that no owner's place in the order of ids favours it.</summary>
    private const string ClaimSql =
        """
        with recursive owners as (
            (select owner_id from tasks where status = 'queued' and owner_id >= $1 order by owner_id limit 1)
            union all
            select (select t.owner_id from tasks t where t.status = 'queued' and t.owner_id > o.owner_id order by t.owner_id limit 1)
            from owners o where o.owner_id is not null
        ),
        visited as (select owner_id from owners where owner_id is not null limit 64),
        candidates as (
            select due.id, row_number() over (partition by v.owner_id order by due.priority desc, due.run_at, due.id) + busy.running as turn, due.run_at
            from visited v
            cross join lateral (select count(*) as running from tasks r where r.owner_id = v.owner_id and r.status = 'running') busy
            cross join lateral (
                select t.id, t.priority, t.run_at from tasks t
                where t.status = 'queued' and t.owner_id = v.owner_id and t.run_at <= now() and t.kind = any ($2)
                order by t.priority desc, t.run_at, t.id limit $3) due
        ),
        chosen as (
            select t.id from tasks t
            join (select id, turn, run_at from candidates where turn <= $4 order by turn, run_at limit $3) c on c.id = t.id
            where t.status = 'queued'
            for update of t skip locked
        )
        update tasks t
        set status = 'running', attempts = t.attempts + 1, fence = t.fence + 1, lease_until = now() + $5, started_at = coalesce(t.started_at, now()), error = null
        from chosen where t.id = chosen.id
        returning t.id, t.owner_id, t.kind, t.input, t.attempts, t.max_attempts, t.fence, t.trace_parent
        """;

    /// <summary>A worker that died holds its claim until the lease ends; after the last attempt the task is dead, and says so.</summary>
    private const string ReclaimSql =
        """
        update tasks set
            status = case when cancel_requested then 'cancelled' when attempts >= max_attempts then 'dead' else 'queued' end,
            error = case when attempts >= max_attempts then 'The process that worked on it ended unexpectedly in each of ' || attempts || ' attempts.'
                else 'The process that worked on it ended unexpectedly (attempt ' || attempts || ').' end,
            ended_at = case when cancel_requested or attempts >= max_attempts then now() end,
            run_at = now(), lease_until = null, fence = fence + 1
        where id in (select id from tasks where status = 'running' and lease_until < now() limit 100 for update skip locked)
        """;

    public async Task<IReadOnlyList<ClaimedTask>> ClaimAsync(string[] kinds, int count, int perOwner, TimeSpan lease, CancellationToken ct)
    {
        var claimed = await ClaimFromAsync(Guid.NewGuid(), kinds, count, perOwner, lease, ct);
        return claimed.Count > 0 ? claimed : await ClaimFromAsync(Guid.Empty, kinds, count, perOwner, lease, ct);
    }

    private Task<List<ClaimedTask>> ClaimFromAsync(Guid start, string[] kinds, int count, int perOwner, TimeSpan lease, CancellationToken ct) =>
        database.AsWorker().QueryAsync(
            ClaimSql,
            [start, kinds, count, perOwner, lease],
            row => new ClaimedTask(row.GetGuid(0), row.GetGuid(1), row.GetString(2), row.Json(3), row.GetInt32(4), row.GetInt32(5), row.GetInt64(6), row.NullableString(7)),
            ct);

    public Task<int> ReclaimAsync(CancellationToken ct) => database.AsWorker().ExecuteAsync(ReclaimSql, [], ct);

    /// <summary>Prolongs the claims that are still ours. Returns those, and whether their cancellation was asked for.</summary>
    public Task<List<(Guid Id, bool CancelRequested)>> RenewAsync(Guid[] ids, long[] fences, TimeSpan lease, CancellationToken ct) =>
        database.AsWorker().QueryAsync(
            """
            update tasks t set lease_until = now() + $3
            from unnest($1, $2) as held (id, fence)
            where t.id = held.id and t.fence = held.fence and t.status = 'running'
            returning t.id, t.cancel_requested
            """,
            [ids, fences, lease],
            row => (row.GetGuid(0), row.GetBoolean(1)),
            ct);

    public Task ReportAsync(Guid id, long fence, double progress, string step, CancellationToken ct)
    {
        var batch = database.AsWorker().CreateBatch();
        batch.Add("update tasks set progress = $3::real, step = $4 where id = $1 and fence = $2 and status = 'running'", [id, fence, progress, step]);
        notifications.Notify(batch, Changed, id.ToString("D"));
        return batch.ExecuteAsync(ct);
    }

    /// <summary>Ends a task that is still ours. Returns false when it had been taken over.</summary>
    public async Task<bool> EndAsync(ClaimedTask claim, string status, JsonElement? result, string? error, CancellationToken ct)
    {
        var batch = database.AsWorker().CreateBatch();
        batch.Add(
            """
            update tasks set status = $3, result = $4::jsonb, error = $5::text, ended_at = now(), lease_until = null,
                progress = case when $3 = 'succeeded' then 1 else progress end
            where id = $1 and fence = $2 and status = 'running'
            """,
            [claim.Id, claim.Fence, status, result?.GetRawText(), error]);
        notifications.Notify(batch, Changed, claim.Id.ToString("D"));
        return await batch.ExecuteAsync(ct) > 0;
    }

    /// <summary>Gives a task back for another attempt. An attempt that we broke off ourselves, by stopping, does not count.</summary>
    public Task ReleaseAsync(ClaimedTask claim, TimeSpan delay, string? error, bool countAttempt, CancellationToken ct)
    {
        var batch = database.AsWorker().CreateBatch();
        batch.Add(
            """
            update tasks set status = 'queued', run_at = now() + $3, lease_until = null, error = $4::text, attempts = attempts - $5
            where id = $1 and fence = $2 and status = 'running'
            """,
            [claim.Id, claim.Fence, delay, error, countAttempt ? 0 : 1]);
        notifications.Notify(batch, countAttempt ? Changed : Due, claim.Id.ToString("D"));
        return batch.ExecuteAsync(ct);
    }

    public Task<int> PurgeEndedAsync(TimeSpan keep, CancellationToken ct) => database.AsWorker().ExecuteAsync(
        "delete from tasks where id in (select id from tasks where ended_at < now() - $1 limit 1000)", [keep], ct);
}
