using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Ingestion;

/// <summary>What is said again, by a client that repeats a request, by many at once, or by a model in other words.</summary>
public sealed class RepetitionTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_request_whose_answer_was_lost_in_a_crash_is_answered_from_what_it_stored()
    {
        var (owner, key) = await fixture.Host.CreateKeyAsync();
        using var client = fixture.Host.Client(key);
        var first = await AddAsync(client, "The stick is red");

        // The process died between the commit and keeping the answer: the key is there without one, and its lock has run out.
        await fixture.Host.Get<Database>().ForOwner(owner).ExecuteAsync(
            "update idempotency_keys set status = null, body = null, locked_until = now() - interval '1 s' where owner_id = $1", [owner], Ct);
        var again = await AddAsync(client, "The stick is red");

        Assert.Equal((first.Items.Single().Id, MemoryChange.Added), (again.Items.Single().Id, again.Items.Single().Event));
        Assert.Single((await client.ListAsync()).Items);
    }

    [Fact]
    public async Task Many_who_add_at_once_lose_nothing_and_the_same_text_is_stored_once()
    {
        var (owner, key) = await fixture.Host.CreateKeyAsync();
        using var client = fixture.Host.Client(key);
        var answers = await Task.WhenAll(Enumerable.Range(0, 60).Select(i => client.AddVerbatimAsync($"note {i % 40} of the garden")));

        Assert.Equal(40, answers.Count(answer => answer.Items.Single().Event == MemoryChange.Added));
        Assert.Equal(20, answers.Count(answer => answer.Items.Single().Event == MemoryChange.Duplicate));
        var listed = (await client.ListAsync("?limit=100")).Items;
        Assert.Equal(40, listed.Select(item => item.Text).Distinct().Count());
        Assert.Equal(40, (await client.SearchAsync("garden", topK: 100)).Items.Count);
        Assert.Equal(listed.Select(item => item.Id.Value).Order(), answers.Select(answer => answer.Items.Single().Id.Value).Distinct().Order());
        var history = await fixture.Host.Get<Database>().ForOwner(owner).QuerySingleAsync(
            "select count(distinct operation_id) from memory_history where owner_id = $1", [owner], reader => reader.GetInt64(0), Ct);
        Assert.Equal(40, history);
    }

    [Fact]
    public async Task One_bad_memory_does_not_fail_those_that_are_added_beside_it()
    {
        using var client = await fixture.Host.ClientAsync();
        var adds = Enumerable.Range(0, 20).Select(i => client.PostAsJsonAsync(
            "/api/memories",
            new { text = i == 7 ? new string('x', 60_000) : $"beside {i}", userId = "u", infer = false, metadata = new { n = i }, categories = new[] { "a\"b", "c,d" } },
            ContractJson.Options,
            Ct)).ToList();
        var statuses = (await Task.WhenAll(adds)).Select(response => (int)response.StatusCode).ToList();
        Assert.Equal([413], statuses.Where(status => status != 201));
        var listed = (await client.ListAsync("?limit=100")).Items;
        Assert.Equal(19, listed.Count);
        Assert.All(listed, item => Assert.Equal(["a\"b", "c,d"], item.Categories));
    }

    [Fact]
    public async Task What_a_model_says_again_in_nearly_the_same_words_is_a_duplicate_and_a_negation_is_not()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        await using var host = await MemoryHost.StartAsync(settings:
            [("OPENAI_BASE_URL", provider.Endpoint.ToString()), ("OPENAI_API_KEY", "test"), ("OPENAI_MODEL", "scripted"), ("Memory:DuplicateSimilarity", "0.9")]);
        using var client = await host.ClientAsync();
        var known = (await client.AddVerbatimAsync("The garden behind the old house has red tulips and white roses")).Items.Single();

        provider.Respond = _ => Facts("The garden behind the old house has red tulips and white roses too.");
        Assert.Equal((known.Id, MemoryChange.Duplicate), await SaidAsync(client));
        provider.Respond = _ => Facts("The garden behind the old house has no red tulips and white roses");
        Assert.Equal(MemoryChange.Added, (await SaidAsync(client)).Event);
    }

    private static async Task<(MemoryId Id, MemoryChange Event)> SaidAsync(HttpClient client)
    {
        var added = await client.AddAsync(new AddMemoryRequest { Messages = [new("user", "About the garden ...")], UserId = "u" });
        return (added.Items.Single().Id, added.Items.Single().Event);
    }

    private static Script Facts(string text) => new()
    {
        ContentType = "application/json",
        Json = $$$"""{"choices":[{"finish_reason":"stop","message":{"role":"assistant","content":"{\"facts\":[{\"text\":\"{{{text}}}\",\"categories\":[],\"contradicts\":[],\"relations\":[]}]}"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}""",
    };

    private static async Task<AddMemoryResponse> AddAsync(HttpClient client, string text)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/memories") { Content = JsonContent.Create(new { text, userId = "u", infer = false }, options: ContractJson.Options) };
        request.Headers.Add("Idempotency-Key", "crash-1");
        return await MemoryCalls.ReadAsync<AddMemoryResponse>(await client.SendAsync(request, Ct));
    }
}
