namespace AgentFlow.Tests.EndToEnd;

/// <summary>
/// Tests of how the whole product starts, ends and shares a machine: one after the other, after all others, so that neither slows the other
/// down. Those of its pages run beside the others.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class EndToEndCollection
{
    public const string Name = "End to end";
}
