using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Index.Qdrant;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Retrieval.Index.Histories;

/// <summary>Many histories on one index; the seed makes a run repeatable up to the server's own timing.</summary>
internal static class IndexHistories
{
    /// <param name="withCrashes">Also SIGKILL the server now and then.</param>
    public static async Task<HistoryResult> OnQdrantAsync(QdrantServer server, int count, int seed, MissingGuard missing, bool withCrashes, CancellationToken ct)
    {
        var random = new Random(seed);
        using var transport = new FaultyTransport(new SocketsHttpHandler(), random);
        using var http = new HttpClient(transport);
        var index = new QdrantIndex(http, server.Options($"h{Guid.NewGuid():N}"), HashingEmbeddingGenerator.Space, TimeProvider.System);
        await index.Collections.SwitchToAsync((await index.Collections.ForWritesAsync(ct))[0], ct);
        var result = new HistoryResult(0, 0, 0);
        for (var i = 0; i < count; i++)
        {
            var history = new IndexHistory(index, random, missing) { Transport = transport, Crash = withCrashes ? CrashAsync : null };
            result += await history.RunAsync(ct);
        }

        return result;

        async Task CrashAsync()
        {
            await server.KillAsync();
            await server.StartProcessAsync();
        }
    }

    /// <summary>The process's death is a new index that loads what was committed.</summary>
    public static async Task<HistoryResult> InProcessAsync(int count, int seed, MissingGuard missing, CancellationToken ct)
    {
        var random = new Random(seed);
        var result = new HistoryResult(0, 0, 0);
        for (var i = 0; i < count; i++)
        {
            var truth = new LateTruth();
            var index = new InProcessIndex(truth, HashingEmbeddingGenerator.Space.Dimensions, new InProcessIndexOptions());
            var history = new IndexHistory(index, random, missing)
            {
                CanMove = false,
                Crash = () =>
                {
                    index.Clear();
                    return Task.CompletedTask;
                },
            };
            truth.Target = history.Truth;
            result += await history.RunAsync(ct);
        }

        return result;
    }

    /// <summary>The index is made before the history that owns the rows.</summary>
    private sealed class LateTruth : IIndexTruth
    {
        public IIndexTruth Target { get; set; } = new ListTruth();

        public IAsyncEnumerable<IndexPoint> LoadAsync(Guid ownerId, CancellationToken ct) => Target.LoadAsync(ownerId, ct);

        public Task<IReadOnlyList<TruthPoint>> ReadAsync(IReadOnlyList<Guid> ids, CancellationToken ct) => Target.ReadAsync(ids, ct);

        public Task<IReadOnlyList<IndexEntry>> PageAsync(Guid? after, int limit, TimeSpan settledFor, CancellationToken ct) => Target.PageAsync(after, limit, settledFor, ct);
    }
}
