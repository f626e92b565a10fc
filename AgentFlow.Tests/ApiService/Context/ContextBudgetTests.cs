using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts.Chat;

namespace AgentFlow.Tests.ApiService.Context;

public sealed class ContextBudgetTests
{
    [Fact]
    public void Everything_goes_in_where_there_is_room() =>
        Assert.Equal(new BudgetPlan(2, 1, 3, 0), ContextBudget.Plan(1_000, 100, [100, 100], [20], [50, 50, 50]));

    [Fact]
    public void Nothing_is_planned_when_the_question_alone_is_too_long() => Assert.Null(ContextBudget.Plan(100, 101, [], [], []));

    [Fact]
    public void Old_turns_make_room_first_and_leave_a_summary()
    {
        var plan = ContextBudget.Plan(1_000, 200, [200, 200, 200], [], [300, 300, 50, 50])!;

        Assert.Equal(new BudgetPlan(2, 0, 2, 100), plan);
    }

    [Fact]
    public void The_plan_never_costs_more_than_the_budget()
    {
        var random = new Random(7);
        for (var i = 0; i < 2_000; i++)
        {
            int[] Costs(int count, int max) => [.. Enumerable.Range(0, random.Next(count)).Select(_ => random.Next(1, max))];
            var (passages, memories, history) = (Costs(10, 400), Costs(10, 60), Costs(40, 300));
            var (tokens, mandatory) = (random.Next(100, 6_000), random.Next(50, 500));
            if (ContextBudget.Plan(tokens, mandatory, passages, memories, history) is not { } plan)
            {
                Assert.True(mandatory > tokens);
                continue;
            }

            var cost = mandatory + passages.Take(plan.Passages).Sum() + memories.Take(plan.Memories).Sum()
                + history.TakeLast(plan.History).Sum() + plan.SummaryTokens;
            Assert.True(cost <= tokens, $"{cost} > {tokens}");
            Assert.Equal(plan.History < history.Length, plan.SummaryTokens > 0 || (plan.History < history.Length && tokens - mandatory < 8));
        }
    }

    [Fact]
    public void A_summary_keeps_to_its_tokens_and_says_what_it_left_out()
    {
        PastTurn[] turns = [.. Enumerable.Range(0, 30).Select(i => new PastTurn(i % 2 == 0 ? ChatRole.User : ChatRole.Assistant, $"Sentence number {i}. More words."))];

        var summary = Compaction.Summarise(turns, 100);

        Assert.StartsWith("- (", summary, StringComparison.Ordinal);
        Assert.EndsWith("- You: Sentence number 29.", summary, StringComparison.Ordinal);
        Assert.InRange(TokenEstimate.Of(summary), 50, 120);
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("four", 1)]
    [InlineData("漢字", 2)]
    [InlineData("2024-01-01", 4)]
    public void Tokens_are_estimated_by_script(string text, int tokens) => Assert.Equal(tokens, TokenEstimate.Of(text));
}
