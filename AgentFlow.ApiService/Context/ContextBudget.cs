using AgentFlow.Contracts.Chat;

namespace AgentFlow.ApiService.Context;

/// <param name="Passages">How many of the passages fit, the best first.</param>
/// <param name="Memories">How many of the memories fit.</param>
/// <param name="History">How many of the newest turns are kept word for word; the older ones are to be summarised.</param>
/// <param name="SummaryTokens">What the summary of the older turns may cost; 0 when nothing is older.</param>
internal sealed record BudgetPlan(int Passages, int Memories, int History, int SummaryTokens);

/// <summary>
/// Shares the prompt's tokens out: instructions and question always go in; then passages (up to half of what is left), memories (up to a
/// seventh), and history with the rest, newest first, of which a quarter goes to a summary if not everything fits. Pure.
/// </summary>
internal static class ContextBudget
{
    private const double PassageShare = 0.5;
    private const double MemoryShare = 0.15;
    private const double SummaryShare = 0.25;

    /// <param name="tokens">What the prompt may cost altogether.</param>
    /// <param name="mandatory">Instructions, tools, question and the caller's context.</param>
    /// <returns>Null when even the mandatory part does not fit.</returns>
    public static BudgetPlan? Plan(int tokens, int mandatory, IReadOnlyList<int> passages, IReadOnlyList<int> memories, IReadOnlyList<int> history)
    {
        var left = tokens - mandatory;
        if (left < 0)
            return null;
        var (passageCount, passageCost) = Fit(passages, (int)(left * PassageShare));
        var (memoryCount, memoryCost) = Fit(memories, (int)(left * MemoryShare));
        left -= passageCost + memoryCost;
        var newestFirst = history.Reverse().ToList();
        if (newestFirst.Sum() <= left)
            return new BudgetPlan(passageCount, memoryCount, history.Count, 0);
        var summary = (int)(left * SummaryShare);
        return new BudgetPlan(passageCount, memoryCount, Fit(newestFirst, left - summary).Count, summary);
    }

    /// <summary>How many of the costs, from the first, fit.</summary>
    private static (int Count, int Cost) Fit(IReadOnlyList<int> costs, int tokens)
    {
        var cost = 0;
        for (var i = 0; i < costs.Count; i++)
        {
            if (cost + costs[i] > tokens)
                return (i, cost);
            cost += costs[i];
        }

        return (costs.Count, cost);
    }
}
