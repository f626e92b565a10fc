using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Identity;

/// <summary>Actions of the audit log; stable words that administrators filter by.</summary>
internal static class AuditActions
{
    public const string Registered = "account.registered";
    public const string SignedIn = "session.started";
    public const string SignInFailed = "session.refused";
    public const string SignedOut = "session.ended";
    public const string SignedOutEverywhere = "session.all_ended";
    public const string RefreshReused = "session.token_reused";
    public const string PasswordChanged = "account.password_changed";
    public const string PasswordReset = "account.password_reset";
    public const string AccountChanged = "account.changed";
    public const string AccountDeleted = "account.deleted";
    public const string AccountExported = "account.exported";
    public const string KeyCreated = "key.created";
    public const string KeyRevoked = "key.revoked";
    public const string InviteCreated = "invite.created";
    public const string InviteRevoked = "invite.revoked";
}

/// <summary>Security events, written in the transaction of what they tell about. Never holds a secret or an address of an unknown account.</summary>
internal static class AuditLog
{
    private const string Insert =
        "insert into audit_log (owner_id, actor_id, action, address, detail) values ($1::uuid, $2::uuid, $3, $4::text, $5::jsonb)";

    /// <param name="batch">Of the worker role.</param>
    /// <param name="owner">The account concerned.</param>
    /// <param name="actor">Who did it; null for nobody known, or a command on the server.</param>
    public static DbBatch Audit(this DbBatch batch, string action, OwnerId? owner, OwnerId? actor, string? address, object? detail = null) => batch.Add(
        Insert,
        [owner?.Value, actor?.Value, action, address, detail is null ? null : JsonSerializer.Serialize(detail, ContractJson.Options)]);

    public static Task WriteAsync(Database database, string action, OwnerId? owner, OwnerId? actor, string? address, CancellationToken ct, object? detail = null) =>
        database.AsWorker().CreateBatch().Audit(action, owner, actor, address, detail).ExecuteAsync(ct);
}
