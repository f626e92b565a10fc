using AgentFlow.ApiService.Identity;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.ServiceDefaults.Postgres;
using Npgsql;

namespace AgentFlow.ApiService.Sockets;

/// <summary>
/// Browsers can not send a token with an upgrade, and a token in an address ends up in logs: so a request that is authenticated makes
/// a ticket, random, short-lived, kept as its hash, and good for one upgrade.
/// </summary>
internal sealed class SocketTickets(Database database)
{
    private const string Prefix = "afw_";

    private const string Insert = """
        insert into socket_tickets (hash, owner_id, role, session_id, key_id, scopes, expires_at, access_until)
        values ($1, $2, $3, $4::uuid, $5::uuid, $6, now() + $7::interval, $8::timestamptz)
        """;

    /// <summary>Uses the ticket up and sweeps what has run out.</summary>
    private const string Take = """
        with swept as (delete from socket_tickets where expires_at < now() and hash <> $1)
        delete from socket_tickets where hash = $1 returning owner_id, role, session_id, key_id, scopes, expires_at > now(), access_until
        """;

    public async Task<string> IssueAsync(Caller caller, TimeSpan life, CancellationToken ct)
    {
        var ticket = Secrets.New(Prefix);
        await database.ForOwner(caller.Owner.Value).ExecuteAsync(
            Insert,
            [Secrets.Hash(ticket), caller.Owner.Value, caller.Role.ToString(), caller.SessionId, caller.KeyId?.Value, (int)caller.Scopes, life, caller.Until],
            ct);
        return ticket;
    }

    /// <returns>Null for a ticket that is unknown, used or too old.</returns>
    public async Task<Caller?> TakeAsync(string? ticket, CancellationToken ct)
    {
        if (!Secrets.HasForm(ticket, Prefix))
            return null;
        var (caller, isValid) = await database.AsWorker().QuerySingleAsync(Take, [Secrets.Hash(ticket!)], Read, ct);
        return isValid ? caller : null;
    }

    private static (Caller Caller, bool IsValid) Read(NpgsqlDataReader reader) => (
        new Caller(
            new OwnerId(reader.GetGuid(0)), Enum.Parse<UserRole>(reader.GetString(1)), reader.NullableGuid(2),
            reader.NullableGuid(3) is { } key ? new ApiKeyId(key) : null, (Scopes)reader.GetInt32(4)) { Until = reader.NullableTime(6) },
        reader.GetBoolean(5));
}
