using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Index.Qdrant;

namespace AgentFlow.Retrieval.Index;

/// <summary>
/// The index of one service: the configured implementation, and behind Qdrant the exact in-process one, which answers while Qdrant is down,
/// slow, or not filled yet with what other embedding models' processes wrote. Thread-safe.
/// </summary>
public sealed class VectorIndex
{
    /// <summary>What an answer's <see cref="IndexAnswer.Degraded"/> says when Qdrant did not give it.</summary>
    public const string QdrantUnavailable = "qdrant";

    /// <summary>After a failed search Qdrant is left alone this long, so that an outage costs one wait and not one per search.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    private readonly IVectorIndex _primary;
    private readonly InProcessIndex? _fallback;
    private readonly TimeProvider _time;
    private long _failedAt;
    private volatile bool _isTrusted = true;

    internal VectorIndex(string name, IVectorIndex primary, InProcessIndex? fallback, TimeProvider time)
    {
        Name = name;
        _primary = primary;
        _fallback = fallback;
        _time = time;
    }

    /// <summary><c>in-process</c> or <c>qdrant</c>.</summary>
    public string Name { get; }

    internal IVectorIndex Primary => _primary;

    /// <summary>
    /// False while Qdrant's collection may lack what was committed, since processes with another embedding model write; the exact index answers then.
    /// </summary>
    internal bool IsTrusted
    {
        get => _isTrusted;
        set
        {
            if (_isTrusted == value)
                return;
            _isTrusted = value;
            _fallback?.Clear();
        }
    }

    /// <summary>The exact index in this process's memory, loaded owner by owner from the truth.</summary>
    public static VectorIndex InProcess(IIndexTruth truth, EmbeddingSpace space, InProcessIndexOptions options)
    {
        ArgumentNullException.ThrowIfNull(space);
        return new VectorIndex("in-process", new InProcessIndex(truth, space.Dimensions, options), fallback: null, TimeProvider.System);
    }

    /// <summary>Qdrant, with the exact index behind it. Nothing is asked of the server until the first use.</summary>
    /// <param name="http">Without a base address, proxies and retries; kept for the process's life.</param>
    public static VectorIndex Qdrant(
        HttpClient http, QdrantOptions qdrant, IIndexTruth truth, EmbeddingSpace space, InProcessIndexOptions options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(space);
        return new VectorIndex(
            "qdrant", new QdrantIndex(http, qdrant, space, time), new InProcessIndex(truth, space.Dimensions, options), time);
    }

    /// <summary>The same index as the given owner sees it.</summary>
    public OwnedIndex For(Guid ownerId) => new(this, ownerId);

    /// <summary>Throws when the configured index can't answer.</summary>
    public Task ProbeAsync(CancellationToken ct) => _primary.ProbeAsync(ct);

    /// <summary>Drops what is held in memory, so that the next search of each owner loads it anew: changes of other processes may have been missed.</summary>
    public void Forget() => InMemory?.Clear();

    private InProcessIndex? InMemory => _fallback ?? _primary as InProcessIndex;

    internal bool HoldsInMemory(Guid ownerId) => InMemory?.Holds(ownerId) ?? false;

    internal Task FollowAsync(Guid ownerId, IReadOnlyList<IndexWrite> writes, CancellationToken ct) =>
        InMemory?.WriteAsync(ownerId, writes, ct) ?? Task.CompletedTask;

    internal bool TakesWrites(Guid ownerId) => _primary.Holds(ownerId);

    internal async Task WriteAsync(Guid ownerId, IReadOnlyList<IndexWrite> writes, CancellationToken ct)
    {
        if (_fallback is not null)
            await _fallback.WriteAsync(ownerId, writes, ct);
        await _primary.WriteAsync(ownerId, writes, ct);
    }

    internal async Task<IndexAnswer> SearchAsync(Guid ownerId, IndexQuery query, CancellationToken ct)
    {
        if (_fallback is null)
            return new IndexAnswer(await _primary.SearchAsync(ownerId, query, ct));
        var failedAt = Volatile.Read(ref _failedAt);
        if (_isTrusted && (failedAt == 0 || _time.GetElapsedTime(failedAt) >= Pause))
        {
            try
            {
                var hits = await _primary.SearchAsync(ownerId, query, ct);
                if (Interlocked.Exchange(ref _failedAt, 0) != 0)
                    _fallback.Clear();
                return new IndexAnswer(hits);
            }
            catch (QdrantException)
            {
                Volatile.Write(ref _failedAt, _time.GetTimestamp());
            }
        }

        return new IndexAnswer(await _fallback.SearchAsync(ownerId, query, ct), QdrantUnavailable);
    }
}
