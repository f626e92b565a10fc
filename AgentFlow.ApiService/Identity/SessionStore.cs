using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Identity;

/// <summary>A sign-in's newest tokens.</summary>
internal sealed record StartedSession(Guid Id, string RefreshToken);

internal enum RefreshRefusal
{
    None,

    /// <summary>Unknown, expired, of an ended sign-in or of a disabled account.</summary>
    Invalid,

    /// <summary>Spent before: the sign-in was ended by this.</summary>
    Reused,
}

/// <summary>
/// Sign-ins ("families") and their rotating refresh tokens. A token is good once. Used again, it is in two hands, and the whole family
/// ends; except when the same client repeats, with the same nonce and at once, because the answer was lost: then it gets the same successor.
/// </summary>
internal sealed class SessionStore(Database database, IOptions<IdentityOptions> options)
{
    /// <summary>Ends an account's sign-ins but one: $1 owner, $2 the family to keep or null, $3 reason.</summary>
    public const string RevokeAll =
        "update refresh_families set revoked_at = now(), revoked_reason = $3 where owner_id = $1 and revoked_at is null and id is distinct from $2::uuid";

    private const string InsertToken =
        """
        insert into refresh_tokens (token_hash, owner_id, family_id, idle_expires_at)
        select $1, $2, $3, least(now() + $4, expires_at) from refresh_families where id = $3
        """;

    public async Task<StartedSession> StartAsync(OwnerId owner, string? address, CancellationToken ct)
    {
        var family = Guid.CreateVersion7();
        var token = Secrets.New(Secrets.RefreshPrefix);
        await database.AsWorker().CreateBatch()
            .Add("insert into refresh_families (id, owner_id, address, expires_at) values ($1, $2, $3::text, now() + $4)", [family, owner.Value, address, options.Value.SessionLifetime])
            .Add(InsertToken, [Secrets.Hash(token), owner.Value, family, options.Value.SessionIdleLifetime])
            .Add("update users set last_sign_in_at = now() where owner_id = $1", [owner.Value])
            .Audit(AuditActions.SignedIn, owner, owner, address)
            .ExecuteAsync(ct);
        return new StartedSession(family, token);
    }

    /// <param name="nonce">The client's Idempotency-Key, or null.</param>
    public async Task<(StartedSession? Session, UserProfile? Profile, RefreshRefusal Refusal)> RotateAsync(string token, string? nonce, string? address, CancellationToken ct)
    {
        if (!Secrets.HasForm(token, Secrets.RefreshPrefix))
        {
            return (null, null, RefreshRefusal.Invalid);
        }

        await using var session = await database.AsWorker().BeginAsync(ct);
        var found = await session.QuerySingleAsync(FindForUpdate, [Secrets.Hash(token), options.Value.RefreshRepeatWindow], Read, ct);
        if (found is null || !found.IsAlive)
        {
            return (null, null, RefreshRefusal.Invalid);
        }

        if (found.Salt is { } spent)
        {
            if (nonce is not null && nonce == found.Nonce && found.UsedJustNow)
            {
                return (new StartedSession(found.Family, Secrets.Successor(token, spent)), found.Profile, RefreshRefusal.None);
            }

            await session.CreateBatch()
                .Add("update refresh_families set revoked_at = now(), revoked_reason = 'reuse' where id = $1", [found.Family])
                .Audit(AuditActions.RefreshReused, found.Profile.Id, null, address)
                .ExecuteAsync(ct);
            await session.CommitAsync(ct);
            return (null, null, RefreshRefusal.Reused);
        }

        var salt = Secrets.NewSalt();
        var successor = Secrets.Successor(token, salt);
        await session.CreateBatch()
            .Add("update refresh_tokens set used_at = now(), successor_salt = $2, nonce = $3::text where token_hash = $1", [Secrets.Hash(token), salt, nonce])
            .Add(InsertToken, [Secrets.Hash(successor), found.Profile.Id.Value, found.Family, options.Value.SessionIdleLifetime])
            .Add("delete from refresh_tokens where family_id = $1 and used_at < now() - interval '1 day'", [found.Family])
            .ExecuteAsync(ct);
        await session.CommitAsync(ct);
        return (new StartedSession(found.Family, successor), found.Profile, RefreshRefusal.None);
    }

    /// <param name="current">The sign-in that asks; marked in the list.</param>
    public Task<List<SessionSummary>> ListAsync(OwnerId owner, Guid? current, CancellationToken ct) => database.AsWorker().QueryAsync(
        """
        select f.id, f.created_at, greatest(f.created_at, (select max(t.issued_at) from refresh_tokens t where t.family_id = f.id)), f.expires_at, f.address
        from refresh_families f where f.owner_id = $1 and f.revoked_at is null and f.expires_at > now()
        order by f.created_at desc limit 200
        """,
        [owner.Value],
        row => new SessionSummary(row.GetGuid(0), row.Time(1), row.Time(2), row.Time(3), row.GetGuid(0) == current, row.NullableString(4)),
        ct);

    public Task<bool> IsOpenAsync(OwnerId owner, Guid family, CancellationToken ct) => database.AsWorker().QuerySingleAsync(
        "select true from refresh_families where id = $1 and owner_id = $2 and revoked_at is null and expires_at > now()",
        [family, owner.Value], row => row.GetBoolean(0), ct);

    public Task EndAsync(OwnerId owner, Guid family, string? address, CancellationToken ct) => database.AsWorker().CreateBatch()
        .Add("update refresh_families set revoked_at = now(), revoked_reason = 'signed out' where id = $1 and owner_id = $2 and revoked_at is null", [family, owner.Value])
        .Audit(AuditActions.SignedOut, owner, owner, address)
        .ExecuteAsync(ct);

    /// <summary>Every sign-in ends, and every access token that was issued before is void.</summary>
    public Task EndAllAsync(OwnerId owner, string? address, CancellationToken ct) => database.AsWorker().CreateBatch()
        .Add(RevokeAll, [owner.Value, null, "signed out everywhere"])
        .Add("update users set tokens_valid_from = now() where owner_id = $1", [owner.Value])
        .Audit(AuditActions.SignedOutEverywhere, owner, owner, address)
        .ExecuteAsync(ct);

    private const string FindForUpdate =
        """
        select u.owner_id, u.email, u.display_name, u.role, u.default_agent, u.created_at,
               t.family_id, t.successor_salt, t.nonce, t.used_at is not null and t.used_at > now() - $2::interval,
               t.idle_expires_at > now() and f.expires_at > now() and f.revoked_at is null and u.disabled_at is null
        from refresh_tokens t
        join refresh_families f on f.id = t.family_id
        join users u on u.owner_id = t.owner_id
        where t.token_hash = $1
        for update of t, f
        """;

    private static Spent Read(Npgsql.NpgsqlDataReader reader) => new(
        AccountStore.ReadProfile(reader),
        reader.GetGuid(6),
        reader.IsDBNull(7) ? null : reader.GetFieldValue<byte[]>(7),
        reader.NullableString(8),
        reader.GetBoolean(9),
        reader.GetBoolean(10));

    private sealed record Spent(UserProfile Profile, Guid Family, byte[]? Salt, string? Nonce, bool UsedJustNow, bool IsAlive);
}
