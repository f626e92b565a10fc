using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace AgentFlow.Tests.ApiService.Context;

/// <summary>A source that does not answer is left out at the deadline, and named.</summary>
public sealed class RecallTests
{
    [Theory]
    [InlineData(false, "documents,memory")]
    [InlineData(true, "memory")]
    public async Task A_source_that_hangs_degrades_the_answer_and_holds_up_nothing(bool documentsAnswer, string degraded)
    {
        using var http = new HttpClient(new Hanging()) { BaseAddress = new("http://memory.test/") };
        var memories = new MemoryClient(http, new InternalTokens(new JwtCodec(KeyRing.Parse(ApiHost.Keys), TimeProvider.System)));
        var recall = new Recall(
            memories,
            async (_, _, _, ct) =>
            {
                if (!documentsAnswer)
                    await Task.Delay(Timeout.Infinite, ct);
                return new DocumentSearchResponse([]);
            },
            Options.Create(new RecallOptions { Deadline = TimeSpan.FromMilliseconds(50) }),
            TimeProvider.System,
            NullLogger<Recall>.Instance);
        var run = new RunContext
        {
            RunId = RunId.New(), OwnerId = OwnerId.New(), ConversationId = ConversationId.New(), MessageId = MessageId.New(), UserMessageId = MessageId.New(),
            Agent = new() { Slug = "test" }, Model = "m", Question = "q", History = [],
        };

        var recalled = await recall.RunAsync(run, TestContext.Current.CancellationToken);

        Assert.Equal(degraded, string.Join(',', recalled.Degraded));
        Assert.Equal(recalled.Degraded, recalled.ToEvent().Degraded);
        Assert.False(recalled.LearnsByRules);
    }

    private sealed class Hanging : HttpMessageHandler
    {
        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            await Task.Delay(Timeout.Infinite, cancellationToken);
            throw new InvalidOperationException("Nobody waits this long.");
        }
    }
}
