using System.Text.Json;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;

namespace AgentFlow.Tests.Retrieval.Index;

internal static class Points
{
    public static readonly IReadOnlyDictionary<string, JsonElement> NoFields = new Dictionary<string, JsonElement>();

    public static IndexPoint Of(string text, long version = 1, Guid? id = null, object? fields = null, Turn? turn = null) => new()
    {
        Id = id ?? Guid.CreateVersion7(),
        Version = version,
        Vector = HashingEmbeddingGenerator.Embed(text),
        Text = text,
        Fields = fields is null ? NoFields : JsonSerializer.SerializeToElement(fields).EnumerateObject().ToDictionary(member => member.Name, member => member.Value.Clone()),
        Turn = turn,
    };

    public static IndexQuery Query(string text, int limit = 100) => new() { Text = text, Vector = HashingEmbeddingGenerator.Embed(text), Limit = limit };
}
