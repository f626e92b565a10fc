using System.Net;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Runs;

/// <summary>A client that repeats a question with its key, as client libraries do after 503, gets an answer in the end.</summary>
public sealed class RepeatedQueryTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_question_whose_process_was_stopped_is_asked_anew_and_then_only_replayed()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var provider = await ScriptedProvider.StartAsync();
        provider.Respond = _ =>
        {
            asked.TrySetResult();
            return Script.Say(TimeSpan.FromMinutes(5), TimeSpan.Zero, "late");
        };
        await using var api = await ApiHost.StartAsync(new()
        {
            ["Models:Providers:0:Endpoint"] = provider.Endpoint.ToString(), ["Models:Providers:0:Model"] = "scripted", ["Models:Providers:0:ApiKey"] = "k", ["Models:Providers:0:FirstTokenTimeout"] = "00:10:00",
        });
        using var before = api.Client(api.Admin.Tokens.AccessToken);
        var asking = AskAsync(before);
        await asked.Task.WaitAsync(Ct);
        await api.StopAsync();
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await asking).Status);

        provider.Respond = _ => Script.Say("now");
        await api.InitializeAsync();
        using var after = api.Client(api.Admin.Tokens.AccessToken);
        var (status, answer) = await AskAsync(after);
        Assert.Equal((HttpStatusCode.OK, "now"), (status, answer!.Answer));
        provider.Respond = _ => Script.Say("never");
        var (again, replayed) = await AskAsync(after);
        Assert.Equal((HttpStatusCode.OK, "now", answer.RunId), (again, replayed!.Answer, replayed.RunId));
    }

    private static async Task<(HttpStatusCode Status, QueryAnswer? Answer)> AskAsync(HttpClient client)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/chat/query") { Content = JsonContent.Create(new QueryRequest { Question = "Anything?" }, options: ContractJson.Options) };
        request.Headers.Add("Idempotency-Key", "once");
        using var response = await client.SendAsync(request, Ct);
        return (response.StatusCode, response.IsSuccessStatusCode ? await response.Content.ReadFromJsonAsync<QueryAnswer>(ContractJson.Lenient, Ct) : null);
    }
}
