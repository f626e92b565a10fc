using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Tests.ApiService.Runs;

/// <summary>Agents without a model, for tests of what carries them.</summary>
internal static class TestAgents
{
    /// <summary>Says the question back, word by word.</summary>
    public static async Task EchoAsync(RunContext run, RunWriter writer, CancellationToken ct)
    {
        await writer.EmitAsync(new ContextRecalled { Memories = [], Chunks = [], Ms = 0.5 }, ct);
        var words = $"You said: {run.Question}".Split(' ');
        for (var i = 0; i < words.Length; i++)
            await writer.DeltaAsync(i == 0 ? words[i] : $" {words[i]}", ct);
        await writer.EmitAsync(new UsageReported { InputTokens = 3, OutputTokens = words.Length }, ct);
    }

    /// <summary>Says "one ", then waits until it is told to go on or stopped, then says "two".</summary>
    public static AgentRun Paused(Task goOn, TaskCompletionSource? begun = null) => async (_, writer, ct) =>
    {
        await writer.DeltaAsync("one ", ct);
        begun?.TrySetResult();
        await goOn.WaitAsync(ct);
        await writer.DeltaAsync("two", ct);
    };
}
