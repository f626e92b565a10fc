using System.Text.Json;

namespace AgentFlow.Contracts.Memories;

/// <summary>Answer of <c>POST /api/subjects/erase</c>, whose body is a <see cref="MemoryScope"/>.</summary>
public sealed record ErasureReceipt
{
    public required Guid Id { get; init; }

    public required DateTimeOffset At { get; init; }

    /// <summary>How much was removed, by place: memories, versions, history, vectors, links, relations, entities, outbox, tasks, feedback, exports, replays.</summary>
    public required IReadOnlyDictionary<string, long> Removed { get; init; }

    /// <summary>What a search of every place found afterwards, by place.</summary>
    public required IReadOnlyDictionary<string, long> Remaining { get; init; }

    /// <summary>Nothing remains, also in the index.</summary>
    public required bool Complete { get; init; }
}

/// <summary>Answer of <c>POST /api/import</c>.</summary>
/// <param name="Imported">Memories that were stored.</param>
/// <param name="Existing">Memories that were there already, under the same id or with the same text.</param>
/// <param name="Renamed">Imported memories that got a new id, because theirs is taken elsewhere or is no UUID.</param>
public sealed record ImportReport(int Imported, int Existing, int Renamed);

/// <summary>Body of <c>POST /api/review/{id}</c>.</summary>
public sealed record ReviewDecision
{
    /// <summary>approve or reject.</summary>
    public required string Decision { get; init; }

    /// <summary>With approve: what is stored instead.</summary>
    public string? Text { get; init; }
}

/// <summary>One memory of an export with all of its past.</summary>
public sealed record ExportedMemory
{
    public required MemoryItem Memory { get; init; }

    /// <summary>active, pending or rejected.</summary>
    public required string Status { get; init; }

    public IReadOnlyList<ExportedVersion> Versions { get; init; } = [];

    public IReadOnlyList<ExportedChange> History { get; init; } = [];

    /// <summary>What a model found it to state; the names in its text are found again.</summary>
    public IReadOnlyList<ExportedRelation> Relations { get; init; } = [];
}

/// <param name="Source">A name.</param>
/// <param name="Relation">lower_snake_case, such as <c>works_at</c>.</param>
/// <param name="Target">A name.</param>
public sealed record ExportedRelation(string Source, string Relation, string Target);

public sealed record ExportedVersion
{
    public required int Version { get; init; }

    public required string Text { get; init; }

    public JsonElement? Metadata { get; init; }

    public IReadOnlyList<string> Categories { get; init; } = [];

    public DateTimeOffset? ExpiresAt { get; init; }

    public required DateTimeOffset ValidFrom { get; init; }

    public DateTimeOffset? ValidTo { get; init; }

    public required DateTimeOffset RecordedAt { get; init; }

    public required DateTimeOffset ReplacedAt { get; init; }
}

public sealed record ExportedChange
{
    public required Guid OperationId { get; init; }

    public required int Version { get; init; }

    public required MemoryChange Event { get; init; }

    public string? OldText { get; init; }

    public string? NewText { get; init; }

    public required DateTimeOffset At { get; init; }
}

/// <summary>Answer of <c>POST /api/export</c> and body of <c>POST /api/import</c>.</summary>
public sealed record MemoryExport
{
    public const string CurrentFormat = "agentflow-memories-1";

    public required string Format { get; init; }

    public required DateTimeOffset ExportedAt { get; init; }

    public required IReadOnlyList<ExportedMemory> Memories { get; init; }
}
