using System.Text.Json;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;

namespace AgentFlow.Benchmarks.Quality;

/// <summary>A conversation's turns as an index loads them.</summary>
internal sealed class LocomoTruth(LocomoConversation conversation) : IIndexTruth
{
    private static readonly Dictionary<string, JsonElement> NoFields = [];

    public IAsyncEnumerable<IndexPoint> LoadAsync(Guid ownerId, CancellationToken ct) => conversation.Turns.Select(turn => new IndexPoint
    {
        Id = turn.Id,
        Version = 1,
        Vector = HashingEmbeddingGenerator.Embed(turn.Text),
        Text = turn.Text,
        Fields = NoFields,
        Turn = turn.Turn,
    }).ToAsyncEnumerable();

    public Task<IReadOnlyList<TruthPoint>> ReadAsync(IReadOnlyList<Guid> ids, CancellationToken ct) => throw new NotSupportedException();

    public Task<IReadOnlyList<IndexEntry>> PageAsync(Guid? after, int limit, TimeSpan settledFor, CancellationToken ct) => throw new NotSupportedException();
}
