using System.Text.Json;
using AgentFlow.MemoryService.Search;
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
    public static async Task<int> RunAsync(string[] args, CancellationToken ct)
    {
        if (args.Length != 1 || !File.Exists(args[0]))
        {
            Console.WriteLine("usage: dotnet run -c Release --project AgentFlow.Benchmarks -- quality locomo <file in LoCoMo's layout>");
            return 2;
        }

        var conversations = LocomoConversation.Load(args[0]);
        var (words, dense, ours) = (new LocomoRecall(), new LocomoRecall(), new LocomoRecall());
        foreach (var conversation in conversations)
        {
            var index = new InProcessIndex(new LocomoTruth(conversation), HashingEmbeddingGenerator.Space.Dimensions, new InProcessIndexOptions());
            foreach (var question in conversation.Questions)
            {
                var vector = HashingEmbeddingGenerator.Embed(question.Text);
                words.Add(question, (await SearchAsync(index, new IndexQuery { Text = question.Text, Limit = LocomoRecall.Deep }, ct)).OrderByDescending(hit => hit.Bm25).Select(hit => hit.Id));
                dense.Add(question, (await SearchAsync(index, new IndexQuery { Vector = vector, Limit = LocomoRecall.Deep }, ct)).OrderByDescending(hit => hit.Dense).Select(hit => hit.Id));
                ours.Add(question, await RankAsync(index, question.Text, vector, LocomoRecall.Top, ct), await RankAsync(index, question.Text, vector, LocomoRecall.Deep, ct));
            }
        }

        Console.WriteLine($"{conversations.Count} conversations, {conversations.Sum(each => each.Turns.Count)} turns, {conversations.Sum(each => each.Questions.Count)} questions with evidence; {HashingEmbeddingGenerator.Space.Dimensions} dimensions");
        LocomoRecall.PrintHead();
        words.Print("BM25 alone");
        dense.Print("dense alone");
        ours.Print("ours");
        return ours.Judge(words);
    }

    /// <summary>As a search for that many does it.</summary>
    private static async Task<IEnumerable<Guid>> RankAsync(InProcessIndex index, string question, float[] vector, int topK, CancellationToken ct)
    {
        var hits = await SearchAsync(index, new IndexQuery { Text = question, Vector = vector, Limit = MemorySearch.CandidatesFor(topK), WithNeighbours = true }, ct);
        return ConversationRanker.Rank(question, [.. hits.Select(RankCandidate.From)], RankWeights.Hashing).Select(each => each.Candidate.Id);
    }

    private static Task<IReadOnlyList<IndexHit>> SearchAsync(InProcessIndex index, IndexQuery query, CancellationToken ct) =>
        index.SearchAsync(Guid.AllBitsSet, query, ct);
}
