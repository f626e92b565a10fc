namespace AgentFlow.Contracts.Memories;

/// <summary>
/// With the answer to a search the memory service says how it takes facts out of what is said, where it is by rules: then a turn in which
/// nobody speaks of himself, or asks for something to be remembered, has nothing to learn from.
/// </summary>
public static class ExtractionHeader
{
    public const string Name = "AgentFlow-Extraction";

    public const string Rules = "rules";
}
