namespace AgentFlow.Contracts.Auth;

public sealed record RegisterRequest
{
    public required string Email { get; init; }

    /// <summary>12 characters to 1,024 bytes.</summary>
    public required string Password { get; init; }

    public string? DisplayName { get; init; }

    /// <summary>Printed at the first start; makes the first account an administrator.</summary>
    public string? SetupToken { get; init; }

    public string? InviteToken { get; init; }
}

public sealed record LoginRequest
{
    public required string Email { get; init; }

    public required string Password { get; init; }
}

public sealed record RefreshRequest
{
    public required string RefreshToken { get; init; }
}

public sealed record PasswordChangeRequest
{
    public required string CurrentPassword { get; init; }

    public required string NewPassword { get; init; }
}

public enum UserRole
{
    User,
    Admin,
}

public sealed record UserProfile
{
    public required OwnerId Id { get; init; }

    public required string Email { get; init; }

    public required string DisplayName { get; init; }

    public required UserRole Role { get; init; }

    /// <summary>Slug of the agent that answers where none is named; null: the installation's default.</summary>
    public string? DefaultAgent { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>Answer of register, login and refresh.</summary>
public sealed record TokenResponse
{
    public required UserProfile User { get; init; }

    public required string AccessToken { get; init; }

    public required string RefreshToken { get; init; }

    /// <summary>Seconds until the access token ends.</summary>
    public required int ExpiresIn { get; init; }
}

/// <summary>Body of <c>PATCH /api/auth/me</c>; absent members stay.</summary>
public sealed record ProfilePatch
{
    public string? DisplayName { get; init; }

    public string? DefaultAgent { get; init; }
}

/// <summary>What the sign-up page must know before there is an account.</summary>
/// <param name="Registration">closed, invite or open.</param>
/// <param name="NeedsSetup">True until the first account exists.</param>
public sealed record RegistrationState(string Registration, bool NeedsSetup);

public sealed record ApiKeyRequest
{
    /// <summary>1 to 100 characters.</summary>
    public required string Name { get; init; }

    /// <summary>Any of read, write, chat, memory, documents, admin.</summary>
    public required IReadOnlyList<string> Scopes { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }
}

public sealed record ApiKeySummary
{
    public required ApiKeyId Id { get; init; }

    public required string Name { get; init; }

    /// <summary>First characters of the key, to recognise it by.</summary>
    public required string Prefix { get; init; }

    public required IReadOnlyList<string> Scopes { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    public DateTimeOffset? LastUsedAt { get; init; }
}

/// <summary>Answer to the creation of a key; the only time that the secret is shown.</summary>
public sealed record ApiKeyCreated(ApiKeySummary Summary, string Key);

/// <summary>One sign-in of an account that has not ended.</summary>
/// <param name="Id">Ends it with <c>DELETE /api/auth/sessions/{id}</c>.</param>
/// <param name="Address">Where it was begun; null where that is not known.</param>
/// <param name="Current">The one that asks.</param>
public sealed record SessionSummary(Guid Id, DateTimeOffset CreatedAt, DateTimeOffset LastUsedAt, DateTimeOffset ExpiresAt, bool Current, string? Address = null);
