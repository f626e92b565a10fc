using System.Text.Json;
using AgentFlow.Contracts.Auth;

namespace AgentFlow.Contracts.Admin;

/// <summary>An account as administrators see it.</summary>
public sealed record AdminUser
{
    public required OwnerId Id { get; init; }

    public required string Email { get; init; }

    public required string DisplayName { get; init; }

    public required UserRole Role { get; init; }

    public required bool Disabled { get; init; }

    /// <summary>Sign-ins that have not ended.</summary>
    public required int Sessions { get; init; }

    public required int ApiKeys { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? LastSignInAt { get; init; }
}

/// <summary>Body of <c>PATCH /api/admin/users/{id}</c>; absent members stay.</summary>
public sealed record AdminUserPatch
{
    /// <summary>True ends every sign-in and every key's use within seconds.</summary>
    public bool? Disabled { get; init; }

    public UserRole? Role { get; init; }

    public string? DisplayName { get; init; }
}

/// <summary>Answer to a reset by an administrator; the only time that the password is shown.</summary>
public sealed record PasswordReset(string Password);

/// <summary>Body of <c>POST /api/admin/invites</c>.</summary>
public sealed record InviteRequest
{
    /// <summary>Only this address may use it; absent: whoever holds the token.</summary>
    public string? Email { get; init; }

    public UserRole Role { get; init; }
}

public sealed record Invite
{
    public required Guid Id { get; init; }

    public string? Email { get; init; }

    public required UserRole Role { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset ExpiresAt { get; init; }

    public DateTimeOffset? UsedAt { get; init; }
}

/// <summary>Answer to a new invite; the only time that the token is shown.</summary>
public sealed record InviteCreated(Invite Invite, string Token);

/// <summary>One security event, newest first in lists.</summary>
/// <param name="OwnerId">The account concerned.</param>
/// <param name="ActorId">Who did it; null for a command on the server, or nobody known.</param>
/// <param name="Action">Such as session.started, session.refused, key.created, account.changed.</param>
public sealed record AuditEntry(
    long Id, DateTimeOffset At, string Action, OwnerId? OwnerId = null, OwnerId? ActorId = null, string? Address = null, JsonElement? Detail = null);

/// <summary>How much there is, cheaply: rows are the planner's estimates.</summary>
public sealed record AdminStats
{
    public required long Users { get; init; }

    public required long DisabledUsers { get; init; }

    /// <summary>Accounts that signed in within the last 30 days.</summary>
    public required long ActiveUsers { get; init; }

    public required long Sessions { get; init; }

    public required long ApiKeys { get; init; }

    public required long DatabaseBytes { get; init; }

    public required IReadOnlyDictionary<string, long> Tasks { get; init; }

    public required IReadOnlyList<TableSize> Tables { get; init; }
}

/// <param name="Rows">Estimated; -1 where nothing is known yet.</param>
public sealed record TableSize(string Table, long Rows, long Bytes);

/// <summary>A setting as the service runs with it.</summary>
/// <param name="Value">(hidden) for secrets.</param>
public sealed record Setting(string Key, string Value);

/// <summary>One day (UTC) of runs.</summary>
/// <param name="Runs">Ended ones.</param>
/// <param name="Failed">Of them, failed or interrupted.</param>
/// <param name="MedianMs">Milliseconds from the question to the end of its answer; null on a day without runs.</param>
/// <param name="SlowMs">95th percentile.</param>
/// <param name="Tokens">Of providers' models, in and out.</param>
/// <param name="Cost">In the currency of the providers' prices; null where no price is known.</param>
public sealed record ActivityDay(DateOnly Day, long Runs, long Failed, double? MedianMs = null, double? SlowMs = null, long Tokens = 0, decimal? Cost = null);
