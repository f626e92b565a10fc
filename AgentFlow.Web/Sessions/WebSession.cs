using AgentFlow.Contracts.Auth;

namespace AgentFlow.Web.Sessions;

/// <summary>What stands behind the opaque id in the browser's cookie. Never leaves the servers.</summary>
internal sealed record WebSession
{
    public required UserProfile User { get; init; }

    public required string AccessToken { get; init; }

    public required string RefreshToken { get; init; }

    public required DateTimeOffset AccessExpiresAt { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public static WebSession From(TokenResponse tokens, DateTimeOffset createdAt, DateTimeOffset now) => new()
    {
        User = tokens.User,
        AccessToken = tokens.AccessToken,
        RefreshToken = tokens.RefreshToken,
        AccessExpiresAt = now.AddSeconds(tokens.ExpiresIn),
        CreatedAt = createdAt,
    };
}
