using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Queue;

/// <summary>
/// Work that outlives the process which asked for it. Enqueue inside the transaction whose effect the work belongs to: both happen or
/// neither does. Thread-safe.
/// </summary>
public sealed class DurableQueue(Database database, Notifications notifications)
{
    private const string Columns =
        "id, owner_id, kind, input, status, attempts, max_attempts, progress, step, result, error, created_at, started_at, ended_at, priority";

    /// <summary>Adds the task to a batch of the same owner, or of a worker. Does nothing if its dedup key is taken.</summary>
    public void Enqueue(DbBatch batch, QueuedTask task) => EnqueueIf(batch, task, "true", []);

    /// <summary>The same, if a condition holds at that place of the batch.</summary>
    /// <param name="batch">Of the task's owner, or of a worker.</param>
    /// <param name="task">What to add.</param>
    /// <param name="condition">SQL, a boolean; its parameters are numbered from <c>$10</c>.</param>
    /// <param name="parameters">The condition's.</param>
    public void EnqueueIf(DbBatch batch, QueuedTask task, string condition, object?[] parameters)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(task);
        batch.Add(
            $"""
            insert into tasks (id, owner_id, kind, input, priority, max_attempts, run_at, dedup_key, trace_parent)
            select $1, $2, $3, $4::jsonb, $5, $6, now() + $7, $8::text, $9::text where {condition}
            on conflict (owner_id, kind, dedup_key) where dedup_key is not null and status in ('queued', 'running') do nothing
            """,
            [
                task.Id, task.OwnerId, task.Kind, task.Input.GetRawText(), task.Priority, task.MaxAttempts, task.Delay, task.DedupKey, task.TraceParent,
                .. parameters,
            ]);
        notifications.Notify(batch, TaskStore.Due, string.Empty);
    }

    public Task EnqueueAsync(DbSession session, QueuedTask task, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(session);
        var batch = session.CreateBatch();
        Enqueue(batch, task);
        return batch.ExecuteAsync(ct);
    }

    public async Task<Guid> EnqueueAsync(QueuedTask task, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(task);
        var batch = database.ForOwner(task.OwnerId).CreateBatch();
        Enqueue(batch, task);
        await batch.ExecuteAsync(ct);
        return task.Id;
    }

    public Task<TaskRecord?> GetAsync(Guid ownerId, Guid id, CancellationToken ct) => database.ForOwner(ownerId).QuerySingleAsync(
        $"select {Columns} from tasks where owner_id = $1 and id = $2", [ownerId, id], Read, ct);

    /// <summary>Newest first; <paramref name="before"/> is the last row of the page before.</summary>
    /// <param name="ownerId">Whose tasks.</param>
    /// <param name="status">Only these, or null.</param>
    /// <param name="before">Creation time and id to go on from, or null.</param>
    /// <param name="limit">1 to 200.</param>
    /// <param name="ct">Ends the query.</param>
    public Task<List<TaskRecord>> ListAsync(Guid ownerId, string? status, (DateTimeOffset CreatedAt, Guid Id)? before, int limit, CancellationToken ct) =>
        database.ForOwner(ownerId).QueryAsync(
            $"""
            select {Columns} from tasks
            where owner_id = $1 and ($2::text is null or status = $2) and ($3::timestamptz is null or (created_at, id) < ($3, $4::uuid))
            order by created_at desc, id desc limit $5
            """,
            [ownerId, status, before?.CreatedAt.UtcDateTime, before?.Id, limit],
            Read,
            ct);

    /// <summary>Cancels what waits, and asks what runs to stop. Returns false when the owner has no such task, or it has ended.</summary>
    public Task<bool> CancelAsync(Guid ownerId, Guid id, CancellationToken ct) =>

        // The worker is told only of a row that was the owner's: the notification itself knows no owner.
        database.ForOwner(ownerId).QuerySingleAsync(
            """
            with asked as (
                update tasks set
                    cancel_requested = true,
                    ended_at = case when status = 'queued' then now() else ended_at end,
                    status = case when status = 'queued' then 'cancelled' else status end
                where owner_id = $1 and id = $2 and status in ('queued', 'running')
                returning id
            )
            select true, pg_notify($3, $4 || ':' || id), pg_notify($3, $5 || ':' || id) from asked
            """,
            [ownerId, id, database.Schema, TaskWorker.CancelTopic, TaskStore.Changed],
            row => row.GetBoolean(0),
            ct);

    /// <summary>Puts a dead or failed task back with fresh attempts. Returns false when it is neither.</summary>
    public async Task<bool> ReplayAsync(Guid ownerId, Guid id, CancellationToken ct)
    {
        var batch = database.ForOwner(ownerId).CreateBatch();
        batch.Add(
            """
            update tasks set status = 'queued', attempts = 0, run_at = now(), ended_at = null, error = null, cancel_requested = false, progress = 0
            where owner_id = $1 and id = $2 and status in ('dead', 'failed', 'cancelled')
            """,
            [ownerId, id]);
        notifications.Notify(batch, TaskStore.Due, string.Empty);
        return await batch.ExecuteAsync(ct) > 0;
    }

    /// <summary>Calls back when a task changed, or (with an empty id) when changes may have been missed. See <see cref="Notifications.Subscribe"/>.</summary>
    public IDisposable OnChange(Action<Guid?> handler) =>
        notifications.Subscribe(TaskStore.Changed, text => handler(Guid.TryParse(text, out var id) ? id : null));

    private static TaskRecord Read(NpgsqlDataReader row) => new()
    {
        Id = row.GetGuid(0),
        OwnerId = row.GetGuid(1),
        Kind = row.GetString(2),
        Input = row.Json(3),
        Status = row.GetString(4),
        Attempts = row.GetInt32(5),
        MaxAttempts = row.GetInt32(6),
        Progress = row.GetFloat(7),
        Step = row.NullableString(8),
        Result = row.NullableJson(9),
        Error = row.NullableString(10),
        CreatedAt = row.Time(11),
        StartedAt = row.NullableTime(12),
        EndedAt = row.NullableTime(13),
        Priority = row.GetInt16(14),
    };
}
