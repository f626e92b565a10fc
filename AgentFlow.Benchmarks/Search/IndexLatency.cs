using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Index.Qdrant;
using AgentFlow.Retrieval.Ranking;
using AgentFlow.Tests.Support;

namespace AgentFlow.Benchmarks.Search;

/// <summary>
/// What one search costs without HTTP and Postgres: embedding the query, both candidate lists, ranking. The texts are made of words whose
/// frequencies follow Zipf's law, as those of natural language do, since BM25's cost is that of its frequent words.
/// </summary>
internal static class IndexLatency
{
    private const int Searches = 400;
    private const int Warmup = 200;
    private const int Vocabulary = 30_000;

    public static async Task<int> RunAsync(string[] args, CancellationToken ct)
    {
        var sizes = args.Length > 0 && args[0] != "qdrant" ? [int.Parse(args[0], CultureInfo.InvariantCulture)] : (int[])[5_000, 100_000];
        foreach (var size in sizes)
        {
            var corpus = new Corpus(size, words: size > 20_000 ? 120 : 15);
            var exact = await InProcessAsync(corpus, ct);
            if (args.Contains("qdrant"))
                await OnQdrantAsync(corpus, exact, ct);
        }

        return 0;
    }

    private static async Task<InProcessIndex> InProcessAsync(Corpus corpus, CancellationToken ct)
    {
        var index = new InProcessIndex(corpus, HashingEmbeddingGenerator.Space.Dimensions, new InProcessIndexOptions());
        var load = Stopwatch.StartNew();
        await index.SearchAsync(Corpus.Owner, new IndexQuery { Text = "load" }, ct);
        Console.WriteLine($"{corpus.Size} points of {HashingEmbeddingGenerator.Space.Dimensions} dimensions in process: loaded (with embedding) in {load.Elapsed.TotalSeconds:F1} s, {index.Bytes / 1048576} MB");
        await MeasureAsync("dense and words", corpus, query => index.SearchAsync(Corpus.Owner, query, ct));
        await MeasureAsync("dense alone", corpus, query => index.SearchAsync(Corpus.Owner, query with { Text = null }, ct));
        await MeasureAsync("words alone", corpus, query => index.SearchAsync(Corpus.Owner, query with { Vector = null }, ct));
        return index;
    }

    private static async Task OnQdrantAsync(Corpus corpus, InProcessIndex exact, CancellationToken ct)
    {
        await using var server = await QdrantServer.StartAsync();
        var index = new QdrantIndex(server.Client, server.Options("bench") with { AverageLength = corpus.Words }, HashingEmbeddingGenerator.Space, TimeProvider.System);
        var fill = Stopwatch.StartNew();
        var collection = (await index.Collections.ForWritesAsync(ct))[0];
        await foreach (var points in corpus.LoadAsync(Corpus.Owner, ct).Chunk(1_000).WithCancellation(ct))
            await index.WriteAsync(Corpus.Owner, [.. points.Select(point => new IndexWrite.Put(point))], ct);
        await index.Collections.SwitchToAsync(collection, ct);
        Console.WriteLine($"{corpus.Size} points in Qdrant: filled in {fill.Elapsed.TotalSeconds:F1} s");
        while ((await server.AskAsync(HttpMethod.Get, $"/collections/{collection}", null, ct)).GetProperty("status").GetString() != "green")
            await Task.Delay(200, ct);
        Console.WriteLine($"  optimized after {fill.Elapsed.TotalSeconds:F1} s");
        await MeasureAsync("dense and words", corpus, query => index.SearchAsync(Corpus.Owner, query, ct));
        await MeasureAsync("dense alone", corpus, query => index.SearchAsync(Corpus.Owner, query with { Text = null }, ct));
        await MeasureAsync("words alone", corpus, query => index.SearchAsync(Corpus.Owner, query with { Vector = null }, ct));
        await CompareAsync(corpus, exact, index, ct);
    }

    /// <summary>How much of what the exact index finds the other one finds.</summary>
    private static async Task CompareAsync(Corpus corpus, InProcessIndex exact, QdrantIndex other, CancellationToken ct)
    {
        const int Compared = 200;
        var (dense10, dense50, fused10) = (0, 0, 0);
        for (var i = 0; i < Compared; i++)
        {
            var text = corpus.Query(i);
            var query = new IndexQuery { Text = text, Vector = HashingEmbeddingGenerator.Embed(text), Limit = 50 };
            var (right, found) = (await exact.SearchAsync(Corpus.Owner, query, ct), await other.SearchAsync(Corpus.Owner, query, ct));
            dense10 += Dense(right, 10).Intersect(Dense(found, 10)).Count();
            dense50 += Dense(right, 50).Intersect(Dense(found, 50)).Count();
            fused10 += Fused(right).Intersect(Fused(found)).Count();
        }

        Console.WriteLine($"  of what comparing all exactly finds: dense @10 {dense10 / (Compared * 0.1):F2} %, @50 {dense50 / (Compared * 0.5):F2} %, dense and words @10 {fused10 / (Compared * 0.1):F2} %");

        static IEnumerable<Guid> Dense(IReadOnlyList<IndexHit> hits, int count) => hits.OrderByDescending(hit => hit.Dense).Take(count).Select(hit => hit.Id);
        static IEnumerable<Guid> Fused(IReadOnlyList<IndexHit> hits) =>
            RankFusion.Rank([.. hits.Select(RankCandidate.From)], RankWeights.Hashing).Take(10).Select(ranked => ranked.Candidate.Id);
    }

    private static async Task MeasureAsync(string name, Corpus corpus, Func<IndexQuery, Task<IReadOnlyList<IndexHit>>> search)
    {
        var times = new List<double>(Searches);
        using var process = Process.GetCurrentProcess();
        var busy = TimeSpan.Zero;
        for (var i = -Warmup; i < Searches; i++)
        {
            if (i == 0)
            {
                process.Refresh();
                busy = process.TotalProcessorTime;
            }

            var text = corpus.Query(i + Warmup);
            var watch = Stopwatch.GetTimestamp();
            var hits = await search(new IndexQuery { Text = text, Vector = HashingEmbeddingGenerator.Embed(text), Limit = 50 });
            RankFusion.Rank([.. hits.Select(RankCandidate.From)], RankWeights.Hashing);
            if (i >= 0)
                times.Add(Stopwatch.GetElapsedTime(watch).TotalMilliseconds);
        }

        process.Refresh();
        busy = process.TotalProcessorTime - busy;
        times.Sort();
        Console.WriteLine($"  {name,-18} p50 {times[Searches / 2],7:F2} ms   p95 {times[Searches * 95 / 100],7:F2} ms   p99 {times[Searches * 99 / 100],7:F2} ms   CPU {busy.TotalMilliseconds / Searches,6:F2} ms each");
    }

    private sealed class Corpus(int size, int words) : IIndexTruth
    {
        public static readonly Guid Owner = Guid.CreateVersion7();

        private static readonly Dictionary<string, JsonElement> NoFields = [];

        public int Size => size;

        public int Words => words;

        /// <summary>Eight words of a text that is stored, as a question shares some with its answer.</summary>
        public string Query(int number) => Text(new Random(number * 7919 % size), 8);

        public async IAsyncEnumerable<IndexPoint> LoadAsync(Guid ownerId, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
        {
            await Task.Yield();
            for (var i = 0; i < size; i++)
            {
                var text = Text(new Random(i), words);
                yield return new IndexPoint { Id = new Guid(i, 0, 7, [8, 0, 0, 0, 0, 0, 0, 1]), Version = 1, Vector = HashingEmbeddingGenerator.Embed(text), Text = text, Fields = NoFields };
            }
        }

        public Task<IReadOnlyList<TruthPoint>> ReadAsync(IReadOnlyList<Guid> ids, CancellationToken ct) => throw new NotSupportedException();

        public Task<IReadOnlyList<IndexEntry>> PageAsync(Guid? after, int limit, TimeSpan settledFor, CancellationToken ct) => throw new NotSupportedException();

        private static string Text(Random random, int words) => string.Join(' ', Enumerable.Range(0, words).Select(_ => Word(random)));

        private static string Word(Random random)
        {
            var rank = (int)Math.Pow(Vocabulary, random.NextDouble());
            return string.Concat("bcdfglmnprstvz"[rank % 14], "aeiou"[rank / 14 % 5], "bcdfglmnprstvz"[rank / 70 % 14], "aeiou"[rank / 980 % 5]) + "kx"[rank / 4900 % 2] + "ou"[rank / 9800 % 2];
        }
    }
}
