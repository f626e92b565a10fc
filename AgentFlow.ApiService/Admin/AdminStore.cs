using AgentFlow.ApiService.Identity;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Admin;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Queue;
using Npgsql;

namespace AgentFlow.ApiService.Admin;

internal enum AdminRefusal
{
    None,
    NotFound,

    /// <summary>It would leave nobody to administrate.</summary>
    LastAdministrator,
}

/// <summary>Accounts from above. Every change is audited in its own transaction.</summary>
internal sealed class AdminStore(Database database, DurableQueue queue)
{
    private const string UserColumns =
        """
        u.owner_id, u.email, u.display_name, u.role, u.disabled_at is not null, u.created_at, u.last_sign_in_at,
        (select count(*) from refresh_families f where f.owner_id = u.owner_id and f.revoked_at is null and f.expires_at > now())::int,
        (select count(*) from api_keys k where k.owner_id = u.owner_id and k.revoked_at is null)::int
        """;

    /// <summary>Serializes what could take the last administrator away.</summary>
    private const string LockAdministrators = "select owner_id from users where role = 'admin' and disabled_at is null order by owner_id for update";

    private const string Activity =
        """
        with ended as (
            select (created_at at time zone 'utc')::date as day, id, status, extract(epoch from ended_at - created_at) * 1000 as ms
            from runs where ended_at is not null and created_at > now() - make_interval(days => $1 + 1)),
        spent as (
            select (created_at at time zone 'utc')::date as day, sum(input_tokens + output_tokens)::bigint as tokens, sum(cost) as cost
            from model_usage where settled_at is not null and created_at > now() - make_interval(days => $1 + 1) group by 1)
        select d::date, count(e.id), count(e.id) filter (where e.status in (4, 6)),
               percentile_cont(0.5) within group (order by e.ms), percentile_cont(0.95) within group (order by e.ms),
               coalesce(max(s.tokens), 0), max(s.cost)
        from generate_series((now() at time zone 'utc')::date - ($1 - 1), (now() at time zone 'utc')::date, interval '1 day') d
        left join ended e on e.day = d::date left join spent s on s.day = d::date
        group by d order by d
        """;

    /// <summary>The last days, oldest first, each present.</summary>
    public Task<List<ActivityDay>> ActivityAsync(int days, CancellationToken ct) => database.AsWorker().QueryAsync(
        Activity, [days],
        row => new ActivityDay(
            row.GetFieldValue<DateOnly>(0), row.GetInt64(1), row.GetInt64(2),
            row.IsDBNull(3) ? null : row.GetDouble(3), row.IsDBNull(4) ? null : row.GetDouble(4), row.GetInt64(5), row.IsDBNull(6) ? null : row.GetDecimal(6)),
        ct);

    public Task<List<AdminUser>> ListAsync(string? search, int limit, (DateTimeOffset At, Guid Id)? after, CancellationToken ct) => database.AsWorker().QueryAsync(
        $"""
        select {UserColumns} from users u
        where ($1::text is null or position(lower($1::text) in u.email) > 0 or position(lower($1::text) in lower(u.display_name)) > 0)
          and ($3::timestamptz is null or (u.created_at, u.owner_id) < ($3::timestamptz, $4::uuid))
        order by u.created_at desc, u.owner_id desc limit $2
        """,
        [search, limit, after?.At.UtcDateTime, after?.Id], ReadUser, ct);

    public Task<AdminUser?> FindAsync(OwnerId owner, CancellationToken ct) => database.AsWorker().QuerySingleAsync(
        $"select {UserColumns} from users u where u.owner_id = $1", [owner.Value], ReadUser, ct);

    public async Task<AdminRefusal> PatchAsync(OwnerId owner, AdminUserPatch patch, OwnerId actor, string address, CancellationToken ct)
    {
        await using var session = await database.AsWorker().BeginAsync(ct);
        var loses = patch.Disabled is true || patch.Role is Contracts.Auth.UserRole.User;
        if (await RefusalAsync(session, owner, loses, ct) is var refusal && refusal is not AdminRefusal.None)
        {
            return refusal;
        }

        var batch = session.CreateBatch().Add(
            """
            update users set disabled_at = case when $2::boolean is null then disabled_at when $2::boolean then coalesce(disabled_at, now()) end,
                             role = coalesce($3::text, role), display_name = coalesce($4::text, display_name), updated_at = now()
            where owner_id = $1
            """,
            [owner.Value, patch.Disabled, patch.Role is { } role ? AccountStore.Write(role) : null, patch.DisplayName]);
        if (patch.Disabled is true)
        {
            batch.Add(SessionStore.RevokeAll, [owner.Value, null, "disabled"]);
        }

        await batch.Audit(AuditActions.AccountChanged, owner, actor, address, new { patch.Disabled, patch.Role }).ExecuteAsync(ct);
        await session.CommitAsync(ct);
        return AdminRefusal.None;
    }

    /// <summary>Ends every way in at once and queues the erasure of all that the account has.</summary>
    public async Task<(AdminRefusal Refusal, Guid TaskId)> DeleteAsync(OwnerId owner, OwnerId actor, string address, CancellationToken ct)
    {
        await using var session = await database.AsWorker().BeginAsync(ct);
        if (await RefusalAsync(session, owner, loses: true, ct) is var refusal && refusal is not AdminRefusal.None)
        {
            return (refusal, default);
        }

        var task = EraseAccountTask.For(owner);
        var batch = session.CreateBatch()
            .Add("update users set disabled_at = coalesce(disabled_at, now()) where owner_id = $1", [owner.Value])
            .Add(SessionStore.RevokeAll, [owner.Value, null, "deleted"])
            .Audit(AuditActions.AccountDeleted, owner, actor, address);
        queue.Enqueue(batch, task);
        await batch.ExecuteAsync(ct);
        await session.CommitAsync(ct);
        return (AdminRefusal.None, task.Id);
    }

    public Task<List<Invite>> ListInvitesAsync(CancellationToken ct) => database.AsWorker().QueryAsync(
        "select id, email, role, created_at, expires_at, used_at from invites order by created_at desc, id desc limit 500", [], ReadInvite, ct);

    public Task<Invite?> CreateInviteAsync(OwnerId actor, string? email, string role, byte[] tokenHash, TimeSpan lifetime, string address, CancellationToken ct) =>
        database.AsWorker().CreateBatch()
            .Add(
                """
                insert into invites (id, owner_id, token_hash, email, role, expires_at) values ($1, $2, $3, $4::text, $5, now() + $6)
                returning id, email, role, created_at, expires_at, used_at
                """,
                [Guid.CreateVersion7(), actor.Value, tokenHash, email, role, lifetime])
            .Audit(AuditActions.InviteCreated, null, actor, address, new { role })
            .ReadAsync(async (reader, token) => await reader.ReadAsync(token) ? ReadInvite(reader) : null, ct);

    public async Task<bool> DeleteInviteAsync(Guid id, OwnerId actor, string address, CancellationToken ct)
    {
        var deleted = await database.AsWorker().ExecuteAsync("delete from invites where id = $1 and used_at is null", [id], ct) == 1;
        if (deleted)
        {
            await AuditLog.WriteAsync(database, AuditActions.InviteRevoked, null, actor, address, ct, new { invite = id });
        }

        return deleted;
    }

    public Task<List<AuditEntry>> AuditAsync(Guid? owner, string? action, int limit, long? before, CancellationToken ct) => database.AsWorker().QueryAsync(
        """
        select id, at, owner_id, actor_id, action, address, detail from audit_log
        where ($1::uuid is null or owner_id = $1::uuid) and ($2::text is null or action = $2::text) and ($4::bigint is null or id < $4::bigint)
        order by id desc limit $3
        """,
        [owner, action, limit, before],
        static reader => new AuditEntry(
            reader.GetInt64(0), reader.Time(1), reader.GetString(4), Owner(reader, 2), Owner(reader, 3), reader.NullableString(5), reader.NullableJson(6)),
        ct);

    public Task<AdminStats> StatsAsync(CancellationToken ct) => database.AsWorker().CreateBatch()
        .Add(
            """
            select count(*), count(*) filter (where disabled_at is not null), count(*) filter (where last_sign_in_at > now() - interval '30 days'),
                   (select count(*) from refresh_families where revoked_at is null and expires_at > now()),
                   (select count(*) from api_keys where revoked_at is null), pg_database_size(current_database())
            from users
            """,
            [])
        .Add("select status, count(*) from tasks group by status order by status", [])
        .Add(
            """
            select relname, reltuples::bigint, pg_total_relation_size(oid) from pg_class
            where relnamespace = $1::regnamespace and relkind in ('r', 'p') order by relname
            """,
            [database.Schema])
        .ReadAsync(ReadStatsAsync, ct);

    private static async Task<AdminRefusal> RefusalAsync(DbSession session, OwnerId owner, bool loses, CancellationToken ct)
    {
        var administrators = await session.QueryAsync(LockAdministrators, [], reader => reader.GetGuid(0), ct);
        if (!await session.QuerySingleAsync("select true from users where owner_id = $1", [owner.Value], reader => reader.GetBoolean(0), ct))
        {
            return AdminRefusal.NotFound;
        }

        return loses && administrators is [var last] && last == owner.Value ? AdminRefusal.LastAdministrator : AdminRefusal.None;
    }

    private static async Task<AdminStats> ReadStatsAsync(NpgsqlDataReader reader, CancellationToken ct)
    {
        await reader.ReadAsync(ct);
        var stats = new AdminStats
        {
            Users = reader.GetInt64(0),
            DisabledUsers = reader.GetInt64(1),
            ActiveUsers = reader.GetInt64(2),
            Sessions = reader.GetInt64(3),
            ApiKeys = reader.GetInt64(4),
            DatabaseBytes = reader.GetInt64(5),
            Tasks = new Dictionary<string, long>(),
            Tables = [],
        };
        await reader.NextResultAsync(ct);
        var tasks = new Dictionary<string, long>(StringComparer.Ordinal);
        while (await reader.ReadAsync(ct))
        {
            tasks[reader.GetString(0)] = reader.GetInt64(1);
        }

        await reader.NextResultAsync(ct);
        var tables = new List<TableSize>();
        while (await reader.ReadAsync(ct))
        {
            tables.Add(new TableSize(reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2)));
        }

        return stats with { Tasks = tasks, Tables = tables };
    }

    private static OwnerId? Owner(NpgsqlDataReader reader, int ordinal) => reader.NullableGuid(ordinal) is { } id ? new OwnerId(id) : null;

    private static AdminUser ReadUser(NpgsqlDataReader reader) => new()
    {
        Id = new OwnerId(reader.GetGuid(0)),
        Email = reader.GetString(1),
        DisplayName = reader.GetString(2),
        Role = AccountStore.ReadRole(reader.GetString(3)),
        Disabled = reader.GetBoolean(4),
        CreatedAt = reader.Time(5),
        LastSignInAt = reader.NullableTime(6),
        Sessions = reader.GetInt32(7),
        ApiKeys = reader.GetInt32(8),
    };

    private static Invite ReadInvite(NpgsqlDataReader reader) => new()
    {
        Id = reader.GetGuid(0),
        Email = reader.NullableString(1),
        Role = AccountStore.ReadRole(reader.GetString(2)),
        CreatedAt = reader.Time(3),
        ExpiresAt = reader.Time(4),
        UsedAt = reader.NullableTime(5),
    };
}
