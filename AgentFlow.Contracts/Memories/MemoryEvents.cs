namespace AgentFlow.Contracts.Memories;

/// <summary>One change of one memory, as the feed of an owner tells it.</summary>
public sealed record MemoryFeedEntry
{
    /// <summary>The request that did it; what one request changed shares it.</summary>
    public required Guid OperationId { get; init; }

    public required MemoryId MemoryId { get; init; }

    public required int Version { get; init; }

    public required MemoryChange Event { get; init; }

    public string? OldText { get; init; }

    public string? NewText { get; init; }

    public string? UserId { get; init; }

    public string? AgentId { get; init; }

    public string? SessionId { get; init; }

    public string? AppId { get; init; }

    public required DateTimeOffset At { get; init; }
}

/// <summary>How far an asynchronous request is; <c>GET /api/events/{id}</c>.</summary>
public sealed record MemoryOperation
{
    public required Guid Id { get; init; }

    /// <summary>pending, running, succeeded or failed.</summary>
    public required string Status { get; init; }

    public AddMemoryResponse? Result { get; init; }

    public string? Error { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? CompletedAt { get; init; }
}

/// <summary>Body of <c>POST /api/memories/batch</c>; up to 1,000 entries together, carried out in this order: add, update, delete.</summary>
public sealed record MemoryBatch
{
    public IReadOnlyList<AddMemoryRequest>? Add { get; init; }

    public IReadOnlyList<MemoryBatchEdit>? Update { get; init; }

    public IReadOnlyList<MemoryId>? Delete { get; init; }
}

public sealed record MemoryBatchEdit(MemoryId Id, MemoryPatch Patch);

/// <summary>What became of one entry of a batch: each stands for itself.</summary>
public sealed record MemoryBatchResult
{
    /// <summary>add, update or delete.</summary>
    public required string Action { get; init; }

    /// <summary>Place in its list, from 0.</summary>
    public required int Index { get; init; }

    /// <summary>The HTTP status that it would have had alone.</summary>
    public required int Status { get; init; }

    public string? Code { get; init; }

    public string? Detail { get; init; }

    public AddMemoryResponse? Added { get; init; }

    public MemoryItem? Updated { get; init; }
}
