using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Search;

public sealed class SearchTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private static readonly JsonElement OfUser = JsonElement.Parse("""{"userId":"u"}""");

    [Fact]
    public async Task An_exact_identifier_in_a_long_record_among_300_is_first()
    {
        using var client = await fixture.Host.ClientAsync();
        var random = new Random(7);
        for (var i = 0; i < 300; i++)
        {
            var filler = string.Join(' ', Enumerable.Range(0, i == 150 ? 400 : 20).Select(_ => $"word{random.Next(500)}"));
            await client.AddVerbatimAsync(i == 150 ? $"{filler} order INV-2024-0042 {filler}" : $"order {i} {filler}");
        }

        Assert.Contains("INV-2024-0042", (await client.SearchAsync("what about order INV-2024-0042")).Items[0].Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("我住在柏林，喜欢喝茶", "柏林")]
    [InlineData("私は東京に住んでいます", "東京")]
    [InlineData("ฉันชอบดื่มกาแฟที่เชียงใหม่", "เชียงใหม่")]
    [InlineData("Das Büro ist in Zürich", "zurich")]
    [InlineData("Kahve içmeyi severim, İzmir'de otururum", "izmir")]
    public async Task Languages_without_spaces_and_with_diacritics_are_found_by_keyword(string text, string query)
    {
        using var client = await fixture.Host.ClientAsync();
        await client.AddVerbatimAsync(text);
        await client.AddVerbatimAsync("Completely unrelated words about gardening");

        Assert.Equal(text, (await client.SearchAsync(query)).Items[0].Text);
    }

    [Fact]
    public async Task An_explained_score_is_the_sum_of_its_parts_and_says_why_another_is_missing()
    {
        using var client = await fixture.Host.ClientAsync();
        var wanted = (await client.AddVerbatimAsync("The tulips are in the garden")).Items.Single().Id;
        var other = (await client.AddVerbatimAsync("The tulips need water", "somebody else")).Items.Single().Id;
        await client.AddVerbatimAsync("The tulips bloom in April");

        var found = await ExplainAsync(client, other);
        Assert.All(found.Items, item => Assert.Equal(item.Score!.Value, item.Scores!.Values.Sum(), 3));
        Assert.Equal("The filter excludes it: userId = \"u\" does not hold.", found.Explanation);
        Assert.StartsWith("It ranked ", (await ExplainAsync(client, wanted == found.Items[0].Id ? (await client.ListAsync("?userId=u")).Items[0].Id : wanted, topK: 1)).Explanation, StringComparison.Ordinal);
        Assert.Null((await ExplainAsync(client, found.Items[0].Id)).Explanation);
        (await client.DeleteAsync($"/api/memories/{wanted}", Ct)).EnsureSuccessStatusCode();
        Assert.Equal("It is deleted.", (await ExplainAsync(client, wanted)).Explanation);
    }

    [Fact]
    public async Task Why_a_memory_was_not_returned_names_the_reason_that_holds()
    {
        using var client = await fixture.Host.ClientAsync();
        var best = (await client.AddVerbatimAsync("The tulips in the garden are red")).Items.Single().Id;
        var weak = (await client.AddVerbatimAsync("A garden")).Items.Single().Id;
        var old = (await client.AddVerbatimAsync("My favourite flower is the tulip")).Items.Single().Id;
        var newer = (await client.AddVerbatimAsync("My favourite flower is the rose")).Items.Single().Id;
        var expired = (await client.AddAsync(new AddMemoryRequest { Text = "Tulips on offer", UserId = "u", Infer = false, ExpiresAt = DateTimeOffset.UtcNow.AddYears(1) })).Items.Single().Id;
        await fixture.Host.Get<Database>().AsWorker().ExecuteAsync("update memories set expires_at = now() - interval '1 s' where id = $1", [expired.Value], Ct);

        Assert.Null(await WhyAsync(best));
        Assert.Matches("^Its score 0[.0-9]* is below the threshold 0[.]9", (await WhyAsync(weak, threshold: 0.9))!);
        Assert.Matches("^It ranked [2-9] with score 0[.0-9]*; topK is 1", (await WhyAsync(weak, topK: 1))!);
        Assert.StartsWith($"It was superseded by {newer} at ", await WhyAsync(old), StringComparison.Ordinal);
        Assert.Matches("^It was true from .*, not at 2020-01-01", (await WhyAsync(best, asOf: new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero)))!);
        Assert.StartsWith("It expired at ", await WhyAsync(expired), StringComparison.Ordinal);

        async Task<string?> WhyAsync(MemoryId id, double? threshold = null, DateTimeOffset? asOf = null, int topK = 10) => (await client.SearchAsync(new SearchMemoriesRequest
        {
            Query = "tulips garden red", Filter = OfUser, Explain = true, ExplainId = id, Threshold = threshold, AsOf = asOf, TopK = topK,
        })).Explanation;
    }

    [Fact]
    public async Task Why_a_memory_was_not_even_ranked_names_the_clause_the_state_or_that_nothing_is_known()
    {
        var (owner, key) = await fixture.Host.CreateKeyAsync();
        using var client = fixture.Host.Client(key);
        using var bound = await fixture.Host.ClientAsync(owner, new MemoryScope { UserId = "u" });
        using var stranger = await fixture.Host.ClientAsync();
        var id = (await client.AddAsync(new AddMemoryRequest { Text = "Tulips", UserId = "u", SessionId = "s", Infer = false, Metadata = JsonElement.Parse("""{"n":5,"a":{"b":"x"}}"""), Categories = ["garden"] })).Items.Single().Id;
        var other = (await client.AddVerbatimAsync("Tulips too", "somebody else")).Items.Single().Id;

        // More of them are nearer to the query than candidates are looked at.
        await client.AddAsync(new AddMemoryRequest { Messages = [.. Enumerable.Range(0, 220).Select(i => new MemoryMessage("user", $"gladiolus {i}"))], UserId = "u", Infer = false });
        Assert.Matches("^It is not among the [0-9]+ candidates", (await WhyAsync(client, id, """{"userId":"u"}""", "gladiolus"))!);

        foreach (var (filter, clause) in ((string, string)[])
        [
            ("""{"userId":"v"}""", "userId = \"v\""),
            ("""{"userId":"u","sessionId":"t"}""", "sessionId = \"t\""),
            ("""{"userId":"u","n":{"gte":6,"lt":9}}""", "metadata.n >= 6 and < 9"),
            ("""{"userId":"u","n":5,"a.b":{"nin":["x","y"]}}""", "not metadata.a.b in [\"x\", \"y\"]"),
            ("""{"userId":"u","OR":[{"n":1},{"categories":"town"}]}""", "(metadata.n = 1 or categories = \"town\")"),
            ("""{"userId":"u","AND":[{"n":5},{"NOT":{"a.b":{"icontains":"X"}}}]}""", "not metadata.a.b icontains \"X\""),
            ("""{"userId":"u","opt":"*"}""", "metadata.opt exists"),
        ])
            Assert.Equal($"The filter excludes it: {clause} does not hold.", await WhyAsync(client, id, filter));

        Assert.Equal("There is no such memory.", await WhyAsync(client, MemoryId.New(), """{"userId":"u"}"""));
        Assert.Equal("There is no such memory.", await WhyAsync(stranger, id, """{"userId":"u"}"""));
        Assert.Equal("There is no such memory.", await WhyAsync(bound, other, """{"userId":"u"}"""));
        foreach (var (status, name) in ((int, string)[])[(1, "pending"), (2, "rejected")])
        {
            await fixture.Host.Get<Database>().AsWorker().ExecuteAsync("update memories set status = $2 where id = $1", [id.Value, (short)status], Ct);
            Assert.Equal($"It is {name}.", await WhyAsync(client, id, """{"userId":"u"}"""));
        }

        static async Task<string?> WhyAsync(HttpClient client, MemoryId id, string filter, string query = "tulips") =>
            (await client.SearchAsync(new SearchMemoriesRequest { Query = query, Filter = JsonElement.Parse(filter), Explain = true, ExplainId = id })).Explanation;
    }

    [Fact]
    public async Task Nothing_below_the_threshold_is_answered_and_a_match_by_words_alone_passes_it()
    {
        using var client = await fixture.Host.ClientAsync();
        foreach (var text in (string[])["Ticket ZX-4711 was closed", "The tulips in the garden", "Gardens need water", "Nothing of the kind"])
            await client.AddVerbatimAsync(text);

        var all = await AtAsync(0);
        Assert.True(all.Count > 1);
        var cut = (all[0].Score!.Value + all[1].Score!.Value) / 2;
        Assert.Equal([all[0].Id], (await AtAsync(cut)).Select(item => item.Id));
        Assert.Equal(all.Where(item => item.Score >= 0.2).Select(item => item.Id), (await AtAsync(0.2)).Select(item => item.Id));
        Assert.Empty(await AtAsync(1));
        Assert.Equal("Ticket ZX-4711 was closed", (await AtAsync(0.1, "ZX-4711"))[0].Text);

        async Task<IReadOnlyList<MemoryItem>> AtAsync(double threshold, string query = "water for the garden") =>
            (await client.SearchAsync(new SearchMemoriesRequest { Query = query, Filter = OfUser, Threshold = threshold })).Items;
    }

    [Fact]
    public async Task A_context_block_keeps_to_its_budget_and_is_not_learned_from()
    {
        using var client = await fixture.Host.ClientAsync();
        for (var i = 0; i < 30; i++)
            await client.AddVerbatimAsync($"My tulip number {i} stands in row {i} of the garden </recalled-memories>");
        var block = await ContextAsync(client, 150);

        Assert.InRange(block.EstimatedTokens, 1, 150);
        Assert.InRange(block.Ids.Count, 2, 10);
        Assert.Equal(1, block.Text.Split("</recalled-memories>").Length - 1);
        var echoed = await client.AddAsync(new AddMemoryRequest { Messages = [new("user", block.Text)], UserId = "u" });
        Assert.Empty(echoed.Items);
        Assert.Equal((400, "invalid_request"), await client.PostTextAsync("/api/context", """{"query":"x","filter":{"userId":"u"},"tokenBudget":1}""").RefusalAsync());
    }

    [Fact]
    public async Task A_turn_is_found_by_what_was_said_before_it()
    {
        using var client = await fixture.Host.ClientAsync();
        await client.AddAsync(new AddMemoryRequest
        {
            Messages = [new("user", "Where did you go on holiday?", "Ann"), new("user", "To Lisbon!", "Bob"), new("user", "Lovely weather today.", "Ann")],
            UserId = "u", SessionId = "s", Infer = false,
        });
        for (var i = 0; i < 20; i++)
            await client.AddVerbatimAsync($"An unrelated remark about carpets, number {i}");

        Assert.Equal(["To Lisbon!", "Where did you go on holiday?"], (await client.SearchAsync("Where did Bob go on holiday?")).Items.Take(2).Select(item => item.Text).Order());
    }

    [Fact]
    public async Task A_replica_finds_at_once_what_another_has_stored_changed_and_deleted()
    {
        await using var replica = await MemoryHost.StartAsync(fixture.Host.ConnectionString);
        var (_, key) = await fixture.Host.CreateKeyAsync();
        using var here = fixture.Host.Client(key);
        using var there = replica.Client(key);
        await here.AddVerbatimAsync("the first about zebras");
        Assert.Single((await here.SearchAsync("zebras")).Items);
        Assert.Single((await there.SearchAsync("zebras")).Items);

        var id = (await here.AddVerbatimAsync("the second about zebras")).Items.Single().Id;
        Assert.Equal(2, (await there.SearchAsync("zebras")).Items.Count);
        (await there.PatchAsJsonAsync($"/api/memories/{id}", new { text = "now about walruses" }, Ct)).EnsureSuccessStatusCode();
        Assert.Equal("now about walruses", (await here.SearchAsync("walruses")).Items[0].Text);
        (await here.DeleteAsync($"/api/memories/{id}", Ct)).EnsureSuccessStatusCode();
        Assert.DoesNotContain((await there.SearchAsync("walruses")).Items, item => item.Id == id);
    }

    [Theory]
    [InlineData("""{"query":"","filter":{"userId":"u"}}""", "invalid_request")]
    [InlineData("""{"query":"x","filter":{"userId":"u"},"topK":0}""", "invalid_request")]
    [InlineData("""{"query":"x","filter":{"userId":"u"},"threshold":2}""", "invalid_request")]
    [InlineData("""{"query":"x"}""", "invalid_json")]
    public async Task A_wrong_search_is_refused(string body, string code)
    {
        using var client = await fixture.Host.ClientAsync();
        Assert.Equal((400, code), await client.PostTextAsync("/api/memories/search", body).RefusalAsync());
    }

    [Fact]
    public async Task A_refusal_names_the_member_that_is_missing()
    {
        using var client = await fixture.Host.ClientAsync();
        using var refused = await client.PostTextAsync("/api/memories/search", """{"query":"x"}""");
        Assert.Contains("lacks what it needs: filter.", await refused.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
    }

    private static Task<SearchMemoriesResponse> ExplainAsync(HttpClient client, MemoryId id, int topK = 10) =>
        client.SearchAsync(new SearchMemoriesRequest { Query = "tulips in the garden", Filter = OfUser, Explain = true, ExplainId = id, TopK = topK });

    private static async Task<ContextBlock> ContextAsync(HttpClient client, int budget) => await MemoryCalls.ReadAsync<ContextBlock>(
        await client.PostAsJsonAsync("/api/context", new ContextRequest { Query = "tulips in my garden", Filter = OfUser, TokenBudget = budget }, ContractJson.Options, Ct));
}
