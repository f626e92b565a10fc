namespace AgentFlow.Tests.EndToEnd;

/// <summary>
/// Tests of the whole product under a load, and figures of it: one after the other, after all others, so that neither slows the other down.
/// Those of how it starts and ends, and of its pages, run beside the others, on ports and in folders of their own.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class EndToEndCollection
{
    public const string Name = "End to end";
}
