namespace AgentFlow.Contracts.Auth;

/// <summary>A browser's session as the Web keeps it with the API (<c>/internal/web/sessions/{key}</c>).</summary>
/// <param name="OwnerId">Whose it is, so that it ends with the account.</param>
/// <param name="Payload">Sealed by the Web; at most 16 KiB.</param>
/// <param name="ExpiresAt">When it may be forgotten.</param>
public sealed record StoredWebSession(OwnerId OwnerId, string Payload, DateTimeOffset ExpiresAt);

/// <summary>One data-protection key of the Web (<c>/internal/web/keys</c>).</summary>
/// <param name="Name">As data protection names it.</param>
/// <param name="Payload">Sealed by the Web; at most 16 KiB.</param>
public sealed record StoredWebKey(string Name, string Payload);
