using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index.InProcess;

namespace AgentFlow.Retrieval.Index;

/// <summary>
/// The index of one service: the configured implementation, and the exact in-process one behind it for when that one is down.
/// </summary>
public sealed class VectorIndex
{
    private readonly IVectorIndex _primary;
    private readonly IVectorIndex? _fallback;

    internal VectorIndex(string name, IVectorIndex primary, IVectorIndex? fallback)
    {
        Name = name;
        _primary = primary;
        _fallback = fallback;
    }

    /// <summary>The exact index in this process's memory, loaded owner by owner from the truth.</summary>
    public static VectorIndex InProcess(IIndexTruth truth, EmbeddingSpace space, InProcessIndexOptions options)
    {
        ArgumentNullException.ThrowIfNull(space);
        return new VectorIndex("in-process", new InProcessIndex(truth, space.Dimensions, options), fallback: null);
    }

    /// <summary><c>in-process</c> or <c>qdrant</c>.</summary>
    public string Name { get; }

    /// <summary>The same index as the given owner sees it.</summary>
    public OwnedIndex For(Guid ownerId) => new(this, ownerId);

    /// <summary>Throws when the configured index can't answer.</summary>
    public Task ProbeAsync(CancellationToken ct) => _primary.ProbeAsync(ct);

    internal async Task WriteAsync(Guid ownerId, IReadOnlyList<IndexWrite> writes, CancellationToken ct)
    {
        if (_fallback is not null)
            await _fallback.WriteAsync(ownerId, writes, ct);
        await _primary.WriteAsync(ownerId, writes, ct);
    }

    internal async Task<IndexAnswer> SearchAsync(Guid ownerId, IndexQuery query, CancellationToken ct) =>
        new(await _primary.SearchAsync(ownerId, query, ct));
}
