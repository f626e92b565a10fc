using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.MemoryService.Access;

/// <summary>API keys of owners: shown once, kept as SHA-256. A key that was looked up is trusted for <see cref="TrustedFor"/>. Thread-safe.</summary>
internal sealed class ApiKeyStore(Database database, TimeProvider time)
{
    internal const string KeyPrefix = "af_mem_";

    /// <summary>A revoked key works this much longer at most, in every replica.</summary>
    private static readonly TimeSpan TrustedFor = TimeSpan.FromSeconds(3);

    private const int MaxCached = 10_000;

    private readonly ConcurrentDictionary<string, (MemoryCaller Caller, DateTimeOffset? ExpiresAt, long ReadAt)> _known = new(StringComparer.Ordinal);

    internal async Task<CreatedMemoryKey> CreateAsync(Guid ownerId, NewMemoryKey key, CancellationToken ct) =>
        await CreateAsync(ownerId, ApiKeyId.New(), key, ct) ?? throw new InvalidOperationException("A new id is never taken.");

    /// <returns>The key's record, and the key itself, which is not kept anywhere. Null: there is a key of this id already.</returns>
    internal async Task<CreatedMemoryKey?> CreateAsync(Guid ownerId, ApiKeyId id, NewMemoryKey key, CancellationToken ct)
    {
        var secret = KeyPrefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        var created = new MemoryKey
        {
            Id = id,
            Name = key.Name,
            Prefix = secret[..(KeyPrefix.Length + 6)],
            Scopes = key.Scopes ?? [AccessScopes.Read, AccessScopes.Write],
            Subject = key.Subject,
            CreatedAt = time.GetUtcNow(),
            ExpiresAt = key.ExpiresAt,
        };
        var stored = await database.ForOwner(ownerId).ExecuteAsync(
            """
            insert into memory_api_keys (id, owner_id, name, key_hash, prefix, scopes, user_id, agent_id, session_id, app_id, created_at, expires_at)
            values ($1, $2, $3, $4, $5, $6, $7::text, $8::text, $9::text, $10::text, $11, $12::timestamptz)
            on conflict (id) do nothing
            """,
            [
                created.Id.Value, ownerId, created.Name, Hash(secret), created.Prefix, created.Scopes.ToArray(), key.Subject?.UserId, key.Subject?.AgentId,
                key.Subject?.SessionId, key.Subject?.AppId, created.CreatedAt, created.ExpiresAt,
            ],
            ct);
        return stored == 0 ? null : new CreatedMemoryKey(created, secret);
    }

    internal Task<List<MemoryKey>> ListAsync(Guid ownerId, CancellationToken ct) =>
        database.ForOwner(ownerId).QueryAsync(
            """
            select id, name, prefix, scopes, user_id, agent_id, session_id, app_id, created_at, expires_at, last_used_at from memory_api_keys
            where owner_id = $1 and revoked_at is null order by created_at desc, id limit 1000
            """,
            [ownerId], ReadKey, ct);

    /// <returns>False when there is no such key.</returns>
    internal async Task<bool> RevokeAsync(Guid ownerId, ApiKeyId id, CancellationToken ct)
    {
        _known.Clear();
        return await database.ForOwner(ownerId).ExecuteAsync(
            "update memory_api_keys set revoked_at = $3 where owner_id = $1 and id = $2 and revoked_at is null", [ownerId, id.Value, time.GetUtcNow()], ct) > 0;
    }

    /// <returns>Who presents the key; null when it is unknown, revoked or expired.</returns>
    internal async ValueTask<MemoryCaller?> FindAsync(string key, CancellationToken ct)
    {
        if (key.Length > 200)
            return null;
        if (_known.TryGetValue(key, out var known) && time.GetElapsedTime(known.ReadAt) < TrustedFor)
            return IsCurrent(known.ExpiresAt) ? known.Caller : null;
        var readAt = time.GetTimestamp();
        var found = await database.AsWorker().QuerySingleAsync(FindSql, [Hash(key), time.GetUtcNow()], ReadCaller, ct);
        if (_known.Count >= MaxCached)
            _known.Clear();
        if (found.Caller is null)
        {
            _known.TryRemove(key, out _);
            return null;
        }

        _known[key] = (found.Caller, found.ExpiresAt, readAt);
        return IsCurrent(found.ExpiresAt) ? found.Caller : null;
    }

    private const string FindSql =
        """
        with touched as (
            update memory_api_keys set last_used_at = $2
            where key_hash = $1 and revoked_at is null and (last_used_at is null or last_used_at < $2 - interval '1 minute')
        )
        select owner_id, scopes, user_id, agent_id, session_id, app_id, expires_at, name from memory_api_keys
        where key_hash = $1 and revoked_at is null
        """;

    private bool IsCurrent(DateTimeOffset? expiresAt) => expiresAt is null || expiresAt > time.GetUtcNow();

    private static byte[] Hash(string key) => SHA256.HashData(Encoding.UTF8.GetBytes(key));

    private static (MemoryCaller? Caller, DateTimeOffset? ExpiresAt) ReadCaller(NpgsqlDataReader reader) => (
        new MemoryCaller(reader.GetGuid(0), reader.GetFieldValue<string[]>(1), ReadSubject(reader, 2)) { Name = reader.GetString(7) }, reader.NullableTime(6));

    private static MemoryKey ReadKey(NpgsqlDataReader reader) => new()
    {
        Id = new ApiKeyId(reader.GetGuid(0)),
        Name = reader.GetString(1),
        Prefix = reader.GetString(2),
        Scopes = reader.GetFieldValue<string[]>(3),
        Subject = ReadSubject(reader, 4),
        CreatedAt = reader.Time(8),
        ExpiresAt = reader.NullableTime(9),
        LastUsedAt = reader.NullableTime(10),
    };

    private static MemoryScope? ReadSubject(NpgsqlDataReader reader, int first)
    {
        var subject = new MemoryScope
        {
            UserId = reader.NullableString(first), AgentId = reader.NullableString(first + 1),
            SessionId = reader.NullableString(first + 2), AppId = reader.NullableString(first + 3),
        };
        return Memories.SubjectFilter.IsEmpty(subject) ? null : subject;
    }
}
