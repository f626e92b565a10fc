using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ServiceDefaults.Idempotency;

/// <summary>What a request with a key should do.</summary>
public abstract record IdempotencyDecision
{
    /// <summary>Ours: do it, then <see cref="IdempotencyStore.FinishAsync"/>.</summary>
    public sealed record Proceed : IdempotencyDecision;

    /// <summary>It was done: give this answer.</summary>
    public sealed record Replay(int Status, string? ContentType, string? Location, byte[] Body) : IdempotencyDecision;

    /// <summary>The first request with this key is still under way.</summary>
    public sealed record InFlight : IdempotencyDecision;

    /// <summary>The key was used for another body.</summary>
    public sealed record Mismatch : IdempotencyDecision;
}

/// <summary>Keys and answers of one database. A request in flight holds its key for a minute; after that its process is taken for dead.</summary>
public sealed class IdempotencyStore(Database database)
{
    /// <summary>Longer than any request that is not a stream may take.</summary>
    private static readonly TimeSpan Hold = TimeSpan.FromSeconds(60);

    private const string BeginSql =
        """
        with taken as (
            insert into idempotency_keys as k (owner_id, route, key, request_hash, locked_until) values ($1, $2, $3, $4, now() + $5)
            on conflict (owner_id, route, key) do update set locked_until = excluded.locked_until
            where k.status is null and k.locked_until < now() and k.request_hash = excluded.request_hash
            returning true
        )
        select (select true from taken), k.request_hash = $4, k.status, k.content_type, k.location, k.body
        from (select 1) one left join idempotency_keys k on k.owner_id = $1 and k.route = $2 and k.key = $3
        """;

    public async Task<IdempotencyDecision> BeginAsync(IdempotencyKey key, byte[] requestHash, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(key);
        var decision = await database.ForOwner(key.OwnerId).QuerySingleAsync<IdempotencyDecision>(
            BeginSql,
            [key.OwnerId, key.Route, key.Key, requestHash, Hold],
            row => !row.IsDBNull(0) ? new IdempotencyDecision.Proceed()
                : row.IsDBNull(1) ? new IdempotencyDecision.InFlight()
                : !row.GetBoolean(1) ? new IdempotencyDecision.Mismatch()
                : row.IsDBNull(2) ? new IdempotencyDecision.InFlight()
                : new IdempotencyDecision.Replay(row.GetInt16(2), row.NullableString(3), row.NullableString(4), row.IsDBNull(5) ? [] : row.GetFieldValue<byte[]>(5)),
            ct);
        return decision ?? throw new InvalidOperationException("The statement always returns one row.");
    }

    /// <summary>Keeps the answer for replays.</summary>
    public Task FinishAsync(IdempotencyKey key, int status, string? contentType, string? location, byte[] body, CancellationToken ct) =>
        database.ForOwner(key.OwnerId).ExecuteAsync(
            """
            update idempotency_keys set status = $4, content_type = $5::text, location = $6::text, body = $7
            where owner_id = $1 and route = $2 and key = $3
            """,
            [key.OwnerId, key.Route, key.Key, (short)status, contentType, location, body],
            ct);

    /// <summary>Lets go of a key whose request had no effect, so that it may be tried again.</summary>
    public Task ForgetAsync(IdempotencyKey key, CancellationToken ct) => database.ForOwner(key.OwnerId).ExecuteAsync(
        "delete from idempotency_keys where owner_id = $1 and route = $2 and key = $3 and status is null", [key.OwnerId, key.Route, key.Key], ct);

    /// <summary>Drops keys older than a day; returns how many.</summary>
    public Task<int> PurgeAsync(TimeSpan age, CancellationToken ct) => database.AsWorker().ExecuteAsync(
        "delete from idempotency_keys where ctid in (select ctid from idempotency_keys where created_at < now() - $1 limit 5000)", [age], ct);
}
