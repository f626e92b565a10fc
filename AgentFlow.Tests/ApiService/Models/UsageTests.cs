using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Tasks;
using AgentFlow.Tests.ApiService.Agents;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Models;

public sealed class UsageTests
{
    private static CancellationToken Limit => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Parallel_runs_can_not_overdraw_a_budget_and_what_was_used_is_told()
    {
        await using var turns = await TurnFixture.StartAsync(
            withProvider: true,
            ""","limits":{"outputTokens":100}""",
            ("Budgets:TokensPerDay", "1000"), ("Models:Providers:0:Endpoint", ""), ("Models:Providers:0:Model", "scripted"), ("Models:Providers:0:InputPrice", "1000"), ("Models:Providers:0:OutputPrice", "2000"));
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var answer = Script.Say("one", " two");
        turns.Provider.Respond = _ => answer with { Steps = [new ScriptStep.Gate(goOn.Task), .. answer.Steps] };

        var asking = Enumerable.Range(0, 20).Select(_ => turns.User.Client.PostAsJsonAsync(
            "/api/v1/chat/query", new QueryRequest { Question = "Well?" }, ContractJson.Options, Limit)).ToArray();

        // Nothing is used up, and so nothing given back, before each of them is refused or at the provider.
        await Patience.UntilAsync(() => Task.FromResult(asking.Count(one => one.IsCompleted) + turns.Provider.OpenCount), count => count == 20, "20 decisions");
        goOn.SetResult();
        var answers = await Task.WhenAll(asking);

        var accepted = answers.Count(a => a.StatusCode == HttpStatusCode.OK);
        Assert.InRange(accepted, 1, 9);
        Assert.All(answers.Where(a => a.StatusCode != HttpStatusCode.OK), a => Assert.Equal((HttpStatusCode.TooManyRequests, true), (a.StatusCode, a.Headers.RetryAfter is not null)));
        Assert.Equal(accepted, turns.Provider.RequestCount);
        var usage = await turns.User.Client.GetFromJsonAsync<JsonElement>("/api/admin/usage", Limit);
        var line = Assert.Single(usage.GetProperty("items").EnumerateArray().ToList());
        Assert.Equal((accepted, 12L * accepted, 2L * accepted), (line.GetProperty("runs").GetInt32(), line.GetProperty("inputTokens").GetInt64(), line.GetProperty("outputTokens").GetInt64()));
        Assert.Equal(0.016m * accepted, line.GetProperty("cost").GetDecimal());
        Assert.False(line.TryGetProperty("keyId", out _));
        using var refused = await turns.User.Client.GetAsync("/api/admin/usage?days=0", Limit);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
    }

    [Fact]
    public async Task What_a_key_used_is_told_apart_from_what_its_account_used()
    {
        await using var turns = await TurnFixture.StartAsync(withProvider: true);
        using var key = await turns.User.KeyClientAsync("chat");
        using var byKey = await key.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = "Well?" }, ContractJson.Options, Limit);
        using var byPerson = await turns.User.Client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = "Well?" }, ContractJson.Options, Limit);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (byKey.StatusCode, byPerson.StatusCode));

        var lines = (await turns.User.Client.GetFromJsonAsync<JsonElement>("/api/admin/usage", Limit)).GetProperty("items").EnumerateArray().ToList();

        Assert.Equal(2, lines.Count);
        Assert.Equal("test", Assert.Single(lines, line => line.TryGetProperty("keyId", out _)).GetProperty("keyName").GetString());
    }

    [Fact]
    public async Task What_a_key_asked_for_in_the_background_counts_as_the_keys()
    {
        await using var turns = await TurnFixture.StartAsync(withProvider: true);
        using var key = await turns.User.KeyClientAsync("chat");
        await EndAsync(key, "run", new { message = "Well?" });
        await EndAsync(key, "questions", new { questions = new[] { "One?", "Two?" } });
        await EndAsync(turns.User.Client, "run", new { message = "Well?" });

        var lines = (await turns.User.Client.GetFromJsonAsync<JsonElement>("/api/admin/usage", Limit)).GetProperty("items").EnumerateArray().ToList();

        Assert.Equal(
            [(true, 3), (false, 1)],
            lines.Select(line => (line.TryGetProperty("keyId", out _), line.GetProperty("runs").GetInt32())).OrderByDescending(line => line));

        // Who pays is not the client's to say.
        foreach (var kind in new[] { "run", "questions" })
        {
            using var claimed = await key.PostAsJsonAsync("/api/tasks", new { kind, input = new { message = "a", questions = new[] { "a" }, keyId = Guid.CreateVersion7() } }, ContractJson.Options, Limit);
            Assert.Equal(HttpStatusCode.BadRequest, claimed.StatusCode);
        }
    }

    private static async Task EndAsync(HttpClient client, string kind, object input)
    {
        using var response = await client.PostAsJsonAsync("/api/tasks", new { kind, input }, ContractJson.Options, Limit);
        Assert.True(response.StatusCode == HttpStatusCode.Accepted, await response.Content.ReadAsStringAsync(Limit));
        var id = (await response.Content.ReadFromJsonAsync<BackgroundTask>(ContractJson.Options, Limit))!.Id;
        var ended = await Patience.UntilAsync(
            async () => (await client.GetFromJsonAsync<BackgroundTask>($"/api/tasks/{id}", ContractJson.Options, Limit))!, task => task.EndedAt is not null, "the task's end");
        Assert.Equal((BackgroundTaskStatus.Succeeded, null), (ended.Status, ended.Error));
    }
}
