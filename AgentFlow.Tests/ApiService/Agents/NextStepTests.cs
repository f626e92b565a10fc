using AgentFlow.ApiService.Agents;

namespace AgentFlow.Tests.ApiService.Agents;

public sealed class NextStepTests
{
    private static readonly AgentLimits Limits = new() { Steps = 3, ToolCalls = 4, OutputTokens = 100 };

    [Fact]
    public void A_turn_begins_with_the_model() => Assert.Equal(new NextStep.CallModel(WithTools: true), NextStep.After(default, Limits));

    [Fact]
    public void An_answer_without_calls_is_the_end() => Assert.IsType<NextStep.Finish>(NextStep.After(new(1, 0, 10, 0), Limits));

    [Fact]
    public void Calls_run_up_to_the_limit()
    {
        Assert.Equal(new NextStep.RunTools(2), NextStep.After(new(1, 0, 10, 2), Limits));
        Assert.Equal(new NextStep.RunTools(1), NextStep.After(new(2, 3, 10, 500), Limits));
    }

    [Fact]
    public void The_last_step_gets_no_tools_and_ends_the_turn()
    {
        Assert.True(NextStep.AfterTools(new(1, 2, 10, 0), Limits).WithTools);
        Assert.False(NextStep.AfterTools(new(2, 2, 10, 0), Limits).WithTools);
        Assert.False(NextStep.AfterTools(new(1, 4, 10, 0), Limits).WithTools);
        Assert.False(NextStep.AfterTools(new(1, 2, 100, 0), Limits).WithTools);
        Assert.IsType<NextStep.Finish>(NextStep.After(new(3, 2, 10, 5), Limits));
    }

    [Fact]
    public void Every_turn_ends_whatever_the_model_asks_for()
    {
        var random = new Random(11);
        for (var i = 0; i < 500; i++)
        {
            var limits = new AgentLimits { Steps = random.Next(1, 10), ToolCalls = random.Next(0, 20), OutputTokens = random.Next(16, 500) };
            var (steps, calls, ran) = (0, 0, 0);
            NextStep step = NextStep.After(default, limits);
            while (step is not NextStep.Finish)
            {
                if (step is NextStep.RunTools tools)
                {
                    ran += tools.Allowed;
                    calls += tools.Allowed;
                    step = NextStep.AfterTools(new(steps, calls, 0, 0), limits);
                    continue;
                }

                step = NextStep.After(new(++steps, calls, 0, random.Next(0, 9)), limits);
            }

            Assert.InRange(steps, 1, limits.Steps);
            Assert.InRange(ran, 0, limits.ToolCalls);
        }
    }
}
