namespace AgentFlow.Tests.EndToEnd;

/// <summary>Tests that start the whole product: one after the other, after all others, so that neither slows the other down.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class EndToEndCollection
{
    public const string Name = "End to end";
}
