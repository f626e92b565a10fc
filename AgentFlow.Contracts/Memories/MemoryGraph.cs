namespace AgentFlow.Contracts.Memories;

/// <summary>Something that memories name.</summary>
/// <param name="Memories">How many live memories name it.</param>
public sealed record GraphEntity(Guid Id, string Name, string Kind, int Memories);

/// <summary>A typed relation that a memory states.</summary>
public sealed record GraphRelation(Guid Id, Guid Source, string Relation, Guid Target, MemoryId MemoryId, DateTimeOffset? ValidFrom = null, DateTimeOffset? ValidTo = null);

/// <summary>Answer of <c>GET /api/graph</c>.</summary>
public sealed record MemoryGraph(IReadOnlyList<GraphEntity> Entities, IReadOnlyList<GraphRelation> Relations);
