using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Identity;

/// <summary>A person's own API keys. Finding a key by its secret is <see cref="AccessStates"/>'s.</summary>
internal sealed class ApiKeyStore(Database database)
{
    private const string Columns = "id, name, prefix, scopes, created_at, expires_at, last_used_at";

    public Task<List<ApiKeySummary>> ListAsync(OwnerId owner, int limit, (DateTimeOffset At, Guid Id)? after, CancellationToken ct) => database.ForOwner(owner.Value).QueryAsync(
        $"""
        select {Columns} from api_keys
        where owner_id = $1 and revoked_at is null and ($3::timestamptz is null or (created_at, id) < ($3::timestamptz, $4::uuid))
        order by created_at desc, id desc limit $2
        """,
        [owner.Value, limit, after?.At.UtcDateTime, after?.Id], Read, ct);

    /// <returns>Null when the account has as many keys as it may, or the key was made before (<see cref="WasMadeAsync"/>).</returns>
    public async Task<ApiKeySummary?> CreateAsync(OwnerId owner, ApiKeyId id, ApiKeyRequest request, string secret, int maxKeys, string? address, CancellationToken ct)
    {
        var created = await database.ForOwner(owner.Value).QuerySingleAsync(
            $"""
            insert into api_keys (id, owner_id, name, prefix, key_hash, scopes, expires_at)
            select $2, $1, $3, $4, $5, $6, $7::timestamptz
            where (select count(*) from api_keys where owner_id = $1 and revoked_at is null) < $8
            on conflict (id) do nothing
            returning {Columns}
            """,
            [owner.Value, id.Value, request.Name, secret[..Secrets.ShownLength], Secrets.Hash(secret), request.Scopes.ToArray(), request.ExpiresAt?.UtcDateTime, maxKeys],
            Read, ct);
        if (created is not null)
        {
            await AuditLog.WriteAsync(database, AuditActions.KeyCreated, owner, owner, address, ct, new { key = created.Id, created.Scopes });
        }

        return created;
    }

    /// <summary>Also when it was revoked since.</summary>
    public Task<bool> WasMadeAsync(OwnerId owner, ApiKeyId id, CancellationToken ct) => database.ForOwner(owner.Value).QuerySingleAsync(
        "select exists (select from api_keys where owner_id = $1 and id = $2)", [owner.Value, id.Value], reader => reader.GetBoolean(0), ct);

    /// <returns>False when the account has no such live key.</returns>
    public async Task<bool> RevokeAsync(OwnerId owner, ApiKeyId key, string? address, CancellationToken ct)
    {
        var revoked = await database.ForOwner(owner.Value).ExecuteAsync(
            "update api_keys set revoked_at = now() where owner_id = $1 and id = $2 and revoked_at is null", [owner.Value, key.Value], ct) == 1;
        if (revoked)
        {
            await AuditLog.WriteAsync(database, AuditActions.KeyRevoked, owner, owner, address, ct, new { key });
        }

        return revoked;
    }

    private static ApiKeySummary Read(NpgsqlDataReader reader) => new()
    {
        Id = new ApiKeyId(reader.GetGuid(0)),
        Name = reader.GetString(1),
        Prefix = reader.GetString(2),
        Scopes = reader.GetFieldValue<string[]>(3),
        CreatedAt = reader.Time(4),
        ExpiresAt = reader.NullableTime(5),
        LastUsedAt = reader.NullableTime(6),
    };
}
