namespace AgentFlow.Contracts.Memories;

/// <summary>Body of <c>POST /api/keys</c> of the memory service.</summary>
public sealed record NewMemoryKey
{
    /// <summary>1 to 100 characters.</summary>
    public required string Name { get; init; }

    /// <summary>Some of read, write, admin; read and write when absent.</summary>
    public IReadOnlyList<string>? Scopes { get; init; }

    /// <summary>Binds everything that the key reads and writes to these subjects.</summary>
    public MemoryScope? Subject { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }
}

public sealed record MemoryKey
{
    public required ApiKeyId Id { get; init; }

    public required string Name { get; init; }

    /// <summary>The key's first characters, to tell keys apart.</summary>
    public required string Prefix { get; init; }

    public required IReadOnlyList<string> Scopes { get; init; }

    public MemoryScope? Subject { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>To the minute.</summary>
    public DateTimeOffset? LastUsedAt { get; init; }
}

/// <param name="Secret">The key itself; it is shown this once.</param>
public sealed record CreatedMemoryKey(MemoryKey Key, string Secret);
