using AgentFlow.Retrieval.Ranking;

namespace AgentFlow.MemoryService.Search;

/// <summary>The one place that decides the order of results.</summary>
internal static class MemoryRanking
{
    internal static IReadOnlyList<Ranked> Rank(string query, IReadOnlyList<RankCandidate> candidates, RankWeights weights) =>
        ConversationRanker.Rank(query, candidates, weights);
}
