using System.Text.Json;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Mem0.Hosted;

/// <summary>Batches, events, subjects and filters of the hosted API, where there are more than one.</summary>
public sealed class HostedListsTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_batch_with_an_id_that_is_not_there_changes_nothing_and_names_it()
    {
        using var client = await fixture.Host.ClientAsync();
        using var stranger = await fixture.Host.ClientAsync();
        var (first, second) = (await AddAsync(client, "one"), await AddAsync(client, "two"));
        var foreign = await AddAsync(stranger, "theirs");
        foreach (var unknown in (string[])[Guid.NewGuid().ToString(), foreign])
        {
            using var update = await client.SendAsync(Batch(HttpMethod.Put, $$"""{"memories":[{"memory_id":"{{first}}","text":"changed"},{"memory_id":"{{unknown}}","text":"changed"}]}"""), Ct);
            using var delete = await client.SendAsync(Batch(HttpMethod.Delete, $$"""{"memories":[{"memory_id":"{{first}}"},{"memory_id":"{{unknown}}"}]}"""), Ct);
            foreach (var refused in (HttpResponseMessage[])[update, delete])
            {
                Assert.Equal(404, (int)refused.StatusCode);
                Assert.Contains(unknown, await refused.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
            }
        }

        Assert.Equal(["one", "two"], (await client.ListAsync()).Items.Select(item => item.Text).Order(StringComparer.Ordinal));
        using var deleted = await client.SendAsync(Batch(HttpMethod.Delete, $$"""{"memories":[{"memory_id":"{{first}}"},{"memory_id":"{{second}}"},{"memory_id":"{{first}}"}]}"""), Ct);
        Assert.True(deleted.IsSuccessStatusCode);
        Assert.Empty((await client.ListAsync()).Items);
        Assert.Equal(2, JsonElement.Parse(await client.GetStringAsync($"/v1/memories/{first}/history/", Ct)).GetArrayLength());
        Assert.Equal("theirs", (await stranger.ListAsync()).Items.Single().Text);
    }

    [Fact]
    public async Task Events_come_newest_first_in_pages()
    {
        using var client = await fixture.Host.ClientAsync();
        foreach (var text in (string[])["one", "two", "three"])
            await AddAsync(client, text);
        Assert.Equal(["three", "two"], await TextsAsync("?page_size=2"));
        Assert.Equal(["one"], await TextsAsync("?page=2&page_size=2"));
        var page = JsonElement.Parse(await client.GetStringAsync("/v1/events/?page_size=2", Ct));
        Assert.Equal((3, true, false), (page.GetProperty("count").GetInt32(), page.GetProperty("next").ValueKind == JsonValueKind.String, page.GetProperty("previous").ValueKind == JsonValueKind.String));

        async Task<IEnumerable<string?>> TextsAsync(string query) => JsonElement.Parse(await client.GetStringAsync($"/v1/events/{query}", Ct)).GetProperty("results").EnumerateArray()
            .Select(operation => operation.GetProperty("results")[0].GetProperty("data").GetProperty("memory").GetString());
    }

    [Fact]
    public async Task Subjects_are_counted_and_paged_by_type_and_name()
    {
        using var client = await fixture.Host.ClientAsync();
        foreach (var user in (string[])["bo", "al", "cy"])
            await AddAsync(client, "x", user);
        await AddAsync(client, "y", "al", agent: "bot");
        var first = JsonElement.Parse(await client.GetStringAsync("/v1/entities/?page=1&page_size=2", Ct));
        var second = JsonElement.Parse(await client.GetStringAsync("/v1/entities/?page=2&page_size=2", Ct));
        Assert.Equal(["user al 2", "user bo 1", "user cy 1", "agent bot 1"], Names(first).Concat(Names(second)));
        Assert.Equal((4, 3, 1, 0), (first.GetProperty("count").GetInt32(), first.GetProperty("total_users").GetInt32(), first.GetProperty("total_agents").GetInt32(), first.GetProperty("total_runs").GetInt32()));
        Assert.Equal(2, JsonElement.Parse(await client.GetStringAsync("/v2/entities/user/al/", Ct)).GetProperty("total_memories").GetInt32());
        foreach (var unknown in (string[])["/v2/entities/agent/al/", "/v2/entities/user/nobody/", "/v2/entities/planet/al/"])
        {
            using var response = await client.GetAsync(unknown, Ct);
            Assert.Equal(404, (int)response.StatusCode);
        }

        static IEnumerable<string> Names(JsonElement page) => page.GetProperty("results").EnumerateArray()
            .Select(one => $"{one.GetProperty("type").GetString()} {one.GetProperty("name").GetString()} {one.GetProperty("total_memories").GetInt32()}");
    }

    [Theory]
    [InlineData("""{"user_id":"k","keywords" : {"icontains":"TEA"}}""", "I like tea")]
    [InlineData("""{"user_id":"k","metadata":{"keywords":"garden"}}""", "I have tulips")]
    [InlineData("""{"user_id":"k","metadata":{"note":"\"keywords\":"}}""", "I quote")]
    public async Task Keywords_name_the_text_and_beside_metadata_a_key(string filters, string expected)
    {
        using var client = await fixture.Host.ClientAsync();
        await AddAsync(client, "I like tea", "k");
        await AddAsync(client, "I have tulips", "k", metadata: """{"keywords":"garden"}""");
        await AddAsync(client, "I quote", "k", metadata: """{"note":"\"keywords\":"}""");
        using var listed = await client.PostTextAsync("/v3/memories/", $$"""{"filters":{{filters}}}""");
        var results = JsonElement.Parse(await listed.Content.ReadAsStringAsync(Ct)).GetProperty("results");
        Assert.Equal([expected], results.EnumerateArray().Select(memory => memory.GetProperty("memory").GetString()));
    }

    [Theory]
    [InlineData("1716200000")]
    [InlineData("\"1716200000\"")]
    [InlineData("\"2024-05-20T10:13:20Z\"")]
    public async Task An_update_may_change_nothing_but_the_time_or_the_metadata(string timestamp)
    {
        using var client = await fixture.Host.ClientAsync();
        var id = await AddAsync(client, "said once", metadata: """{"a":1}""");
        using var timed = await client.SendAsync(Put(id, $$"""{"timestamp":{{timestamp}}}"""), Ct);
        Assert.Equal(200, (int)timed.StatusCode);
        using var found = await client.PostTextAsync("/v3/memories/", """{"filters":{"AND":[{"user_id":"u"},{"timestamp":{"lt":"2024-05-21"}}]}}""");
        Assert.Equal(id, JsonElement.Parse(await found.Content.ReadAsStringAsync(Ct)).GetProperty("results")[0].GetProperty("id").GetString());
        var ours = (await client.ListAsync()).Items.Single();
        Assert.Equal((DateTimeOffset.FromUnixTimeSeconds(1_716_200_000), DateTimeOffset.FromUnixTimeSeconds(1_716_200_000), "said once", 2), (ours.ObservedAt, ours.ValidFrom, ours.Text, ours.Version));
        Assert.Equal("said once", (await client.SearchAsync(new AgentFlow.Contracts.Memories.SearchMemoriesRequest
        {
            Query = "said", Filter = JsonElement.Parse("""{"userId":"u"}"""), AsOf = DateTimeOffset.Parse("2024-06-01T00:00:00Z", System.Globalization.CultureInfo.InvariantCulture),
        })).Items.Single().Text);

        using var described = await client.SendAsync(Put(id, """{"metadata":{"b":2}}"""), Ct);
        Assert.Equal("""{"b":2}""", JsonElement.Parse(await described.Content.ReadAsStringAsync(Ct)).GetProperty("metadata").GetRawText());
        Assert.Equal(("said once", DateTimeOffset.FromUnixTimeSeconds(1_716_200_000)), ((await client.ListAsync()).Items.Single().Text, (await client.ListAsync()).Items.Single().ObservedAt));
        using var nothing = await client.SendAsync(Put(id, "{}"), Ct);
        using var wrong = await client.SendAsync(Put(id, """{"timestamp":"soon"}"""), Ct);
        Assert.Equal((400, 400), ((int)nothing.StatusCode, (int)wrong.StatusCode));

        static HttpRequestMessage Put(string id, string body) =>
            new(HttpMethod.Put, $"/v1/memories/{id}/") { Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json") };
    }

    [Fact]
    public async Task The_last_day_there_is_can_be_an_expiry()
    {
        using var client = await fixture.Host.ClientAsync();
        var id = await AddAsync(client, "for ever", more: ",\"expiration_date\":\"9999-12-31\"");
        Assert.Equal("9999-12-31", JsonElement.Parse(await client.GetStringAsync($"/v1/memories/{id}/", Ct)).GetProperty("expiration_date").GetString());
    }

    private static HttpRequestMessage Batch(HttpMethod method, string body) =>
        new(method, "/v1/batch/") { Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json") };

    private static async Task<string> AddAsync(HttpClient client, string text, string user = "u", string? agent = null, string metadata = "{}", string more = "")
    {
        var of = agent is null ? string.Empty : $",\"agent_id\":\"{agent}\"";
        using var response = await client.PostTextAsync("/v3/memories/add/", $$"""{"user_id":"{{user}}"{{of}},"infer":false,"metadata":{{metadata}},"messages":"{{text}}"{{more}}}""");
        return JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct)).GetProperty("results")[0].GetProperty("id").GetString()!;
    }
}
