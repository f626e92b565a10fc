using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Index;
using AgentFlow.MemoryService.Memories;
using AgentFlow.Retrieval.Filters;
using AgentFlow.Retrieval.Index;

namespace AgentFlow.MemoryService.Search;

/// <summary>Live memories of the same subjects that are near to a text; what an extraction is shown so that it repeats nothing. Thread-safe.</summary>
internal sealed class RelatedMemories(VectorIndex index, MemoryEmbedding embedding, MemoryReader reader, TimeProvider time)
{
    private const int MaxShown = 10;

    internal async Task<IReadOnlyList<MemoryRow>> ToAsync(Guid ownerId, MemoryScope scope, string text, CancellationToken ct)
    {
        var vectors = await embedding.TryEmbedAsync([text], ct);
        var filter = FilterExpression.AllOf(SubjectFilter.Of(scope), new FilterExpression.Not(new FilterExpression.Exists(new FilterField("valid_to", []))));
        var answer = await index.For(ownerId).SearchAsync(
            new IndexQuery { Vector = vectors?[0], Text = text.Length > 2_000 ? text[..2_000] : text, Filter = filter, Limit = MaxShown }, ct);
        var best = answer.Hits.OrderByDescending(hit => hit.Dense ?? 0).ThenByDescending(hit => hit.Bm25 ?? 0).Take(MaxShown).Select(hit => hit.Id).ToList();
        if (best.Count == 0)
            return [];
        var now = time.GetUtcNow();
        return [.. (await reader.GetManyAsync(ownerId, best, ct)).Where(row => row.IsShownAt(now) && row.ValidTo is null)];
    }
}
