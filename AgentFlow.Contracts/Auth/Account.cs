namespace AgentFlow.Contracts.Auth;

/// <summary>Body of <c>POST /api/auth/me/erase</c>: the password once more, since nothing can be undone.</summary>
public sealed record AccountErasureRequest
{
    public required string Password { get; init; }
}

/// <summary>What is left of an account after its erasure: this number, which tells its holder how far it is.</summary>
/// <param name="Id">Known only to whoever asked for the erasure; <c>GET /api/auth/erasures/{id}</c>.</param>
/// <param name="Status">queued, running, succeeded; failed and dead mean that an administrator must look.</param>
/// <param name="RequestedAt">UTC.</param>
/// <param name="FinishedAt">UTC; null while it goes on.</param>
/// <param name="Rows">Rows that were deleted here; null while it goes on.</param>
/// <param name="Memories">Memories that were erased in the memory service; null while it goes on, or where it has none of this account.</param>
public sealed record AccountErasureReceipt(Guid Id, string Status, DateTimeOffset RequestedAt, DateTimeOffset? FinishedAt = null, long? Rows = null, long? Memories = null);
