using System.Text;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Runs;

public sealed class ProviderCutTests
{
    /// <summary>Up to here the provider has not said that it is done.</summary>
    private const string End = "data: [DONE]\n";

    [Fact]
    public async Task A_provider_that_is_cut_at_any_byte_never_makes_a_completed_run()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        await using var host = await ApiHost.StartAsync(new()
        {
            ["Models:Providers:0:Endpoint"] = provider.Endpoint.ToString(),
            ["Models:Providers:0:Model"] = "scripted",
            ["Models:Providers:0:ApiKey"] = "k",
            ["Models:Providers:0:MaxAttempts"] = "1",
            ["Postgres:MaxPoolSize"] = "15",
            ["Logging:LogLevel:Default"] = "Critical",
        });
        var script = Script.Say("Hé");
        var body = script.Body();
        var complete = Encoding.UTF8.GetString(body).IndexOf(End, StringComparison.Ordinal) is var at && at >= 0 ? Encoding.UTF8.GetByteCount(Encoding.UTF8.GetString(body)[..at]) + End.Length - 1 : 0;
        var falselyCompleted = new List<int>();

        var asked = 0;
        for (var cut = 0; cut <= body.Length; cut++)
        {
            if (cut % 4 == 0)
            {
                // A whole answer now and then keeps the provider's circuit closed, so that every cut is met.
                provider.Respond = _ => script;
                using var whole = await RunsHost.ChatAsync(host.Admin.Client, new() { Message = "go" });
                Assert.IsType<RunCompleted>((await SseEvent.ReadAllAsync(whole))[^1].Parsed);
                asked++;
            }

            asked++;
            provider.Respond = _ => script with { CutAtByte = cut };
            using var response = await RunsHost.ChatAsync(host.Admin.Client, new() { Message = "go" });
            if (!response.IsSuccessStatusCode)
                continue;
            var events = await SseEvent.ReadAllAsync(response);
            Assert.Equal(1, events.Count(evt => evt.IsTerminal));
            var text = SseEvent.TextOf(events);
            if (events[^1].Parsed is RunCompleted && cut < complete)
                falselyCompleted.Add(cut);
            else if (events[^1].Parsed is RunInterrupted interrupted)
                Assert.Equal(text, interrupted.Text);
        }

        Assert.Empty(falselyCompleted);
        Assert.Equal(asked, provider.RequestCount);
    }
}
