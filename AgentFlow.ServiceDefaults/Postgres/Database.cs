using Npgsql;

namespace AgentFlow.ServiceDefaults.Postgres;

/// <summary>
/// The service's database. Nothing is reachable without saying for whom: the login has no rights of its own, and each call takes on
/// a role, and an owner where the role is bound by row-level security, inside the same transaction and round trip as its statements.
/// Thread-safe; one pool per process.
/// </summary>
public sealed class Database(NpgsqlDataSource source, string schema)
{
    internal NpgsqlDataSource Source { get; } = source;

    /// <summary>Where the service's tables are; also the prefix of its notification channels.</summary>
    public string Schema { get; } = schema;

    /// <summary>Everything the owner may see, and nothing else.</summary>
    /// <exception cref="ArgumentException">The owner is empty.</exception>
    public DbScope ForOwner(Guid ownerId) => ownerId == Guid.Empty
        ? throw new ArgumentException("An owner is needed.", nameof(ownerId))
        : new DbScope(Source, Roles.App, ownerId);

    /// <summary>The rows of many owners, in the few tables that workers are granted: queue, outbox, run log, index loading, sign-in.</summary>
    public DbScope AsWorker() => new(Source, Roles.Worker, null);
}
