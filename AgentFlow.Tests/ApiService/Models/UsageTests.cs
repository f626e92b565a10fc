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
    public async Task A_budget_of_money_is_not_overdrawn_by_parallel_runs_either()
    {
        await using var turns = await TurnFixture.StartAsync(
            withProvider: true,
            ""","limits":{"outputTokens":100}""",
            ("Budgets:CostPerDay", "0.5"), ("Models:Providers:0:Endpoint", ""), ("Models:Providers:0:Model", "scripted"), ("Models:Providers:0:OutputPrice", "1000"));
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var answer = Script.Say("one", " two");
        turns.Provider.Respond = _ => answer with { Steps = [new ScriptStep.Gate(goOn.Task), .. answer.Steps] };

        // Each may cost 0.1 at most, and costs 0.002.
        var asking = Enumerable.Range(0, 12).Select(_ => turns.User.Client.PostAsJsonAsync(
            "/api/v1/chat/query", new QueryRequest { Question = "Well?" }, ContractJson.Options, Limit)).ToArray();
        await Patience.UntilAsync(() => Task.FromResult(asking.Count(one => one.IsCompleted) + turns.Provider.OpenCount), count => count == 12, "12 decisions");
        goOn.SetResult();
        var answers = await Task.WhenAll(asking);

        Assert.Equal(5, answers.Count(a => a.StatusCode == HttpStatusCode.OK));
        Assert.Equal(7, answers.Count(a => a.StatusCode == HttpStatusCode.TooManyRequests));
        turns.Provider.Respond = _ => answer;
        using var later = await turns.User.Client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = "Well?" }, ContractJson.Options, Limit);
        Assert.Equal(HttpStatusCode.OK, later.StatusCode);
        Assert.Equal(0, await turns.CountAsync("select count(*) from model_usage where reserved <> 0 or reserved_cost <> 0 or settled_at is null"));
    }

    [Fact]
    public async Task Each_further_call_of_a_turn_needs_its_share_of_the_budget()
    {
        await using var turns = await TurnFixture.StartAsync(
            withProvider: true, ""","tools":[{"name":"calculate"}],"retrieval":{"enabled":false},"limits":{"outputTokens":200}""", ("Budgets:TokensPerDay", "1600"));
        var call = Script.CallTools(("calculate", """{"expression":"1"}"""));
        turns.Provider.Respond = _ => call with { Steps = [.. call.Steps.Select(step => step is ScriptStep.Usage ? new ScriptStep.Usage(700, 5) : step)] };

        var events = await turns.AskAsync("Loop.");

        // Two calls of the model cost 1,410; a third may not be paid for.
        Assert.Equal("budget_exhausted", Assert.IsType<AgentFlow.Contracts.Runs.RunFailed>(events[^1]).Code);
        Assert.Equal(2, turns.Provider.RequestCount);
        Assert.Equal(1410, await turns.CountAsync("select input_tokens + output_tokens from model_usage where settled_at is not null and reserved = 0"));
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
