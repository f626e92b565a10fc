using System.Text.Json;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.Retrieval.Index;
using AgentFlow.Retrieval.Index.InProcess;
using AgentFlow.Retrieval.Ranking;

namespace AgentFlow.Benchmarks.Quality;

/// <summary>
/// Recall of conversation memory without any model: every turn is stored as it was said, the question is the query, gold are the turns that
/// the data set names as evidence. What is measured is what the memory service serves: the same index, the same ranker, the same limits.
/// </summary>
internal static class LocomoQuality
{
    private const int TopRecall = 10;
    private const int DeepRecall = 50;

    /// <summary>Candidates per way, as the memory service asks for.</summary>
    private const int Candidates = 200;

    private static readonly string[] Categories = ["all", "multi-hop", "temporal", "open-domain", "single-hop"];

    public static async Task<int> RunAsync(string[] args, CancellationToken ct)
    {
        if (args.Length != 1 || !File.Exists(args[0]))
        {
            Console.WriteLine("usage: dotnet run -c Release --project AgentFlow.Benchmarks -- quality locomo <file in LoCoMo's layout>");
            return 2;
        }

        var conversations = LocomoConversation.Load(args[0]);
        var (words, dense, ours) = (new Recall(), new Recall(), new Recall());
        foreach (var conversation in conversations)
        {
            var index = new InProcessIndex(new Turns(conversation), HashingEmbeddingGenerator.Space.Dimensions, new InProcessIndexOptions());
            foreach (var question in conversation.Questions)
            {
                var vector = HashingEmbeddingGenerator.Embed(question.Text);
                words.Add(question, (await SearchAsync(index, new IndexQuery { Text = question.Text, Limit = DeepRecall }, ct)).OrderByDescending(hit => hit.Bm25).Select(hit => hit.Id));
                dense.Add(question, (await SearchAsync(index, new IndexQuery { Vector = vector, Limit = DeepRecall }, ct)).OrderByDescending(hit => hit.Dense).Select(hit => hit.Id));
                var hits = await SearchAsync(index, new IndexQuery { Text = question.Text, Vector = vector, Limit = Candidates, WithNeighbours = true }, ct);
                var ranked = ConversationRanker.Rank(question.Text, [.. hits.Select(RankCandidate.From)], RankWeights.Hashing);
                ours.Add(question, ranked.Select(each => each.Candidate.Id));
            }
        }

        Console.WriteLine($"{conversations.Count} conversations, {conversations.Sum(each => each.Turns.Count)} turns, {conversations.Sum(each => each.Questions.Count)} questions with evidence; {HashingEmbeddingGenerator.Space.Dimensions} dimensions");
        Console.WriteLine($"{"recall@10 / @50, %",-20}{string.Concat(Categories.Select(name => $"{name,16}"))}");
        Print("BM25 alone", words);
        Print("dense alone", dense);
        Print("ours", ours);
        var isMet = ours.At(0, TopRecall) >= 70 && ours.At(0, DeepRecall) >= 85
            && Enumerable.Range(1, 4).All(category => ours.At(category, TopRecall) >= words.At(category, TopRecall) && ours.At(category, DeepRecall) >= words.At(category, DeepRecall));
        Console.WriteLine(isMet ? "goal met: 70 / 85, and no category below BM25 alone" : "goal missed: 70 / 85, and no category below BM25 alone");
        return isMet ? 0 : 1;
    }

    private static Task<IReadOnlyList<IndexHit>> SearchAsync(InProcessIndex index, IndexQuery query, CancellationToken ct) =>
        index.SearchAsync(Guid.AllBitsSet, query, ct);

    private static void Print(string name, Recall recall) =>
        Console.WriteLine($"{name,-20}{string.Concat(Enumerable.Range(0, Categories.Length).Select(category => $"{recall.At(category, TopRecall),8:F1} /{recall.At(category, DeepRecall),6:F1}"))}");

    private sealed class Recall
    {
        private readonly double[] _top = new double[Categories.Length];
        private readonly double[] _deep = new double[Categories.Length];
        private readonly int[] _questions = new int[Categories.Length];

        public void Add(LocomoQuestion question, IEnumerable<Guid> ranked)
        {
            var ids = ranked.Take(DeepRecall).ToList();
            foreach (var category in (int[])[0, question.Category])
            {
                _top[category] += ids.Take(TopRecall).Count(question.Gold.Contains) / (double)question.Gold.Count;
                _deep[category] += ids.Count(question.Gold.Contains) / (double)question.Gold.Count;
                _questions[category]++;
            }
        }

        public double At(int category, int depth) => 100 * (depth == TopRecall ? _top : _deep)[category] / Math.Max(1, _questions[category]);
    }

    private sealed class Turns(LocomoConversation conversation) : IIndexTruth
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
}
