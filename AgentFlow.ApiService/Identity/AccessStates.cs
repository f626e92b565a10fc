using System.Collections.Concurrent;
using System.Security.Cryptography;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Tokens;

namespace AgentFlow.ApiService.Identity;

/// <summary>
/// Whether a sign-in or key still counts, as the database says, at most <see cref="MaxAge"/> old: so a disabled account, an ended sign-in
/// or a revoked key is out within that time on every replica. Bounded; thread-safe; one short query for each caller and interval.
/// </summary>
internal sealed class AccessStates(Database database, TimeProvider time)
{
    /// <summary>The promise is 5 s (issue 6); the rest is for the request itself.</summary>
    public static readonly TimeSpan MaxAge = TimeSpan.FromSeconds(3);

    private const int MaxEntries = 10_000;

    private readonly ConcurrentDictionary<string, Entry> entries = new(StringComparer.Ordinal);

    /// <summary>The caller behind an access token whose signature and times are in order, or null.</summary>
    public async Task<Caller?> OfSessionAsync(TokenClaims claims, CancellationToken ct)
    {
        if (claims.Session is not { } session)
        {
            return null;
        }

        var state = await GetAsync($"s:{claims.Subject:N}:{session:N}", token => ReadSessionAsync(claims.Subject, session, token), ct);
        return state is { } alive && claims.IssuedAt >= alive.ValidFrom ? alive.Caller with { Until = DateTimeOffset.FromUnixTimeSeconds(claims.ExpiresAt) } : null;
    }

    /// <summary>The caller behind an API key, or null.</summary>
    public async Task<Caller?> OfKeyAsync(string secret, CancellationToken ct)
    {
        if (!Secrets.HasForm(secret, Secrets.ApiKeyPrefix))
        {
            return null;
        }

        var hash = Secrets.Hash(secret);
        return (await GetAsync($"k:{Convert.ToHexString(hash)}", token => ReadKeyAsync(secret[..Secrets.ShownLength], hash, token), ct))?.Caller;
    }

    /// <summary>For what outlives its request, such as open streams and sockets: ask again at least every <see cref="MaxAge"/>.</summary>
    public async Task<bool> IsAllowedAsync(Caller caller, CancellationToken ct)
    {
        if (caller.SessionId is { } session)
        {
            return await GetAsync($"s:{caller.Owner.Value:N}:{session:N}", token => ReadSessionAsync(caller.Owner.Value, session, token), ct) is not null;
        }

        return await GetAsync($"i:{caller.KeyId}", token => ReadKeyByIdAsync(caller.KeyId!.Value, token), ct) is not null;
    }

    /// <summary>This process forgets what it knew; others within <see cref="MaxAge"/>.</summary>
    public void Forget() => entries.Clear();

    private async Task<State?> GetAsync(string key, Func<CancellationToken, Task<State?>> read, CancellationToken ct)
    {
        var now = time.GetTimestamp();
        if (entries.TryGetValue(key, out var known) && time.GetElapsedTime(known.ReadAt, now) < MaxAge)
        {
            return known.State;
        }

        var state = await read(ct);
        if (entries.Count >= MaxEntries)
        {
            entries.Clear();
        }

        // As old as the question, not as the answer: the row may have changed while it travelled.
        entries[key] = new Entry(state, now);
        return state;
    }

    private Task<State?> ReadSessionAsync(Guid owner, Guid session, CancellationToken ct) => database.AsWorker().QuerySingleAsync(
        """
        select u.role, floor(extract(epoch from greatest(u.tokens_valid_from, 'epoch'::timestamptz)))::bigint
        from users u join refresh_families f on f.owner_id = u.owner_id
        where u.owner_id = $1 and f.id = $2 and u.disabled_at is null and f.revoked_at is null and f.expires_at > now()
        """,
        [owner, session],
        State? (reader) => new State(new Caller(new OwnerId(owner), AccountStore.ReadRole(reader.GetString(0)), session, null, Scopes.None), reader.GetInt64(1)),
        ct);

    private const string KeyColumns = "k.owner_id, k.id, k.scopes, u.role, k.key_hash from api_keys k join users u on u.owner_id = k.owner_id";
    private const string KeyIsAlive = "k.revoked_at is null and (k.expires_at is null or k.expires_at > now()) and u.disabled_at is null";

    private async Task<State?> ReadKeyAsync(string prefix, byte[] hash, CancellationToken ct)
    {
        var found = await database.AsWorker().QueryAsync($"select {KeyColumns} where k.prefix = $1 and {KeyIsAlive}", [prefix], ReadKey, ct);
        var match = found.Find(candidate => CryptographicOperations.FixedTimeEquals(candidate.Hash, hash)).State;
        if (match?.Caller.KeyId is { } id)
        {
            await database.AsWorker().ExecuteAsync(
                "update api_keys set last_used_at = now() where id = $1 and (last_used_at is null or last_used_at < now() - interval '1 minute')", [id.Value], ct);
        }

        return match;
    }

    private async Task<State?> ReadKeyByIdAsync(ApiKeyId id, CancellationToken ct) =>
        (await database.AsWorker().QuerySingleAsync($"select {KeyColumns} where k.id = $1 and {KeyIsAlive}", [id.Value], ReadKey, ct)).State;

    private static (State? State, byte[] Hash) ReadKey(Npgsql.NpgsqlDataReader reader) => (
        new State(
            new Caller(new OwnerId(reader.GetGuid(0)), AccountStore.ReadRole(reader.GetString(3)), null, new ApiKeyId(reader.GetGuid(1)), ScopeWords.Parse(reader.GetFieldValue<string[]>(2))),
            0),
        reader.GetFieldValue<byte[]>(4));

    /// <param name="ValidFrom">Seconds since 1970: tokens issued before are void.</param>
    private sealed record State(Caller Caller, long ValidFrom);

    private readonly record struct Entry(State? State, long ReadAt);
}

/// <summary>The scopes as the wire spells them.</summary>
internal static class ScopeWords
{
    public static readonly IReadOnlyList<string> All = ["read", "write", "chat", "memory", "documents", "admin"];

    /// <summary>Unknown words grant nothing.</summary>
    public static Scopes Parse(IEnumerable<string> words) => words.Aggregate(Scopes.None, (scopes, word) => scopes | word switch
    {
        "read" => Scopes.Read,
        "write" => Scopes.Write,
        "chat" => Scopes.Chat,
        "memory" => Scopes.Memory,
        "documents" => Scopes.Documents,
        "admin" => Scopes.Admin,
        _ => Scopes.None,
    });
}
