namespace AgentFlow.ApiService.Agents;

/// <summary>Who answers: what a run needs to know of an agent.</summary>
internal sealed record AgentDefinition
{
    /// <summary>Lower-case name, unique within an owner.</summary>
    public required string Slug { get; init; }
}
