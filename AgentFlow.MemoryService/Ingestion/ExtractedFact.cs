using AgentFlow.Contracts.Memories;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>Something worth remembering that was found in what was said.</summary>
internal sealed record ExtractedFact(string Text)
{
    public IReadOnlyList<string> Categories { get; init; } = [];

    /// <summary>Stored memories that it contradicts, as the model was shown them.</summary>
    public IReadOnlyList<Guid> Contradicts { get; init; } = [];

    /// <summary>Typed relations between names in the text, when a model found some.</summary>
    public IReadOnlyList<EntityRelation> Relations { get; init; } = [];

    /// <summary>About the assistant itself rather than about who it talks to.</summary>
    public bool AboutAgent { get; init; }
}

/// <param name="Relation">lower_snake_case, such as <c>works_at</c>.</param>
internal sealed record EntityRelation(string Source, string Relation, string Target);

/// <param name="How">verbatim, rules or model.</param>
internal sealed record Extraction(IReadOnlyList<ExtractedFact> Facts, string How)
{
    public long? InputTokens { get; init; }

    public long? OutputTokens { get; init; }

    public IReadOnlyList<string>? Degraded { get; init; }

    /// <summary>A user said it himself, or a rule or a model concluded it.</summary>
    public MemoryTrust Trust { get; init; } = MemoryTrust.Inferred;
}
