using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.WebSessions;

/// <summary>The Web's sealed sessions and keys. One statement each; forgets what has expired when something is kept.</summary>
internal sealed class WebSessionStore(Database database)
{
    private const string FindSql = "select owner_id, payload, expires_at from web_sessions where key = $1 and expires_at > now()";

    /// <summary>An account that is gone or disabled keeps no session; expired ones are swept a few at a time.</summary>
    private const string KeepSql = """
        with swept as (
            delete from web_sessions where key in (select key from web_sessions where expires_at <= now() limit 20)
        )
        insert into web_sessions (key, owner_id, payload, expires_at)
        select $1, u.owner_id, $3, $4 from users u where u.owner_id = $2 and u.disabled_at is null
        on conflict (key) do update set payload = excluded.payload, expires_at = excluded.expires_at
        where web_sessions.owner_id = excluded.owner_id
        """;

    private const string DropSql = "delete from web_sessions where key = $1";
    private const string KeysSql = "select name, payload from web_keys order by created_at, name";
    private const string KeepKeySql = "insert into web_keys (name, payload) values ($1, $2) on conflict (name) do nothing";

    public Task<StoredWebSession?> FindAsync(string key, CancellationToken ct) => database.AsWorker().QuerySingleAsync<StoredWebSession>(
        FindSql, [key], reader => new StoredWebSession(new OwnerId(reader.GetGuid(0)), reader.GetString(1), reader.Time(2)), ct);

    /// <returns>False when there is no such account, or it is disabled.</returns>
    public async Task<bool> KeepAsync(string key, StoredWebSession session, CancellationToken ct) =>
        await database.AsWorker().ExecuteAsync(KeepSql, [key, session.OwnerId.Value, session.Payload, session.ExpiresAt.UtcDateTime], ct) > 0;

    public Task DropAsync(string key, CancellationToken ct) => database.AsWorker().ExecuteAsync(DropSql, [key], ct);

    public Task<List<StoredWebKey>> KeysAsync(CancellationToken ct) =>
        database.AsWorker().QueryAsync(KeysSql, [], reader => new StoredWebKey(reader.GetString(0), reader.GetString(1)), ct);

    public Task KeepKeyAsync(StoredWebKey key, CancellationToken ct) => database.AsWorker().ExecuteAsync(KeepKeySql, [key.Name, key.Payload], ct);
}
