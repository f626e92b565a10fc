using System.Text.Json;
using AgentFlow.MemoryService.Mem0;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Routing;

namespace AgentFlow.Tests.MemoryService.Mem0.Hosted;

/// <summary>What Mem0's older clients, and Microsoft Agent Framework's, send and read; the current ones are in Mem0ClientTests.</summary>
public sealed class HostedShapesTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Agent_Framework_gets_a_bare_array_with_all_that_it_reads()
    {
        using var client = await fixture.Host.ClientAsync();
        (await client.PostTextAsync("/v1/memories/", """{"app_id":"app","agent_id":"agent","run_id":"run","user_id":"user","messages":[{"content":"I prefer tulips","role":"user"}]}"""))
            .EnsureSuccessStatusCode();

        var found = await PostAsync(client, "/v1/memories/search/", """{"app_id":"app","agent_id":"agent","run_id":"run","user_id":"user","query":"tulips"}""");
        var memory = Assert.Single(found.EnumerateArray());
        Assert.Equal("I prefer tulips", memory.GetProperty("memory").GetString());
        Assert.Equal(("user", "agent", "app", "run"), (Text(memory, "user_id"), Text(memory, "agent_id"), Text(memory, "app_id"), Text(memory, "session_id")));
        Assert.True(memory.GetProperty("created_at").TryGetDateTime(out _));
        Assert.Equal(JsonValueKind.Number, memory.GetProperty("score").ValueKind);
        using var deleted = await client.DeleteAsync("/v1/memories/?app_id=app&agent_id=agent&run_id=run&user_id=user", Ct);
        Assert.True(deleted.IsSuccessStatusCode);
        Assert.Empty((await PostAsync(client, "/v1/memories/search/", """{"user_id":"user","query":"tulips"}""")).EnumerateArray());
    }

    [Fact]
    public async Task The_older_forms_answer_arrays_and_the_newer_ones_pages()
    {
        using var client = await fixture.Host.ClientAsync();
        var added = await PostAsync(client, "/v1/memories/", """{"user_id":"u","infer":false,"messages":"I like tea","output_format":"v1.1"}""");
        var id = added.GetProperty("results")[0].GetProperty("id").GetString();

        Assert.Equal([id], Ids(await GetAsync(client, "/v1/memories/?user_id=u")));
        Assert.Equal(1, (await GetAsync(client, "/v1/memories/?user_id=u&page=1&page_size=5")).GetProperty("count").GetInt32());
        Assert.Equal([id], Ids(await PostAsync(client, "/v2/memories/", """{"filters":{"AND":[{"user_id":"u"}]}}""")));
        Assert.Equal([id], Ids(await PostAsync(client, "/v2/memories/search/", """{"query":"tea","filters":{"OR":[{"user_id":"u"},{"agent_id":"x"}]}}""")));
        Assert.Equal([id], Ids(await GetAsync(client, "/v1/memories/user/u/")));
        Assert.Equal([id], Ids((await PostAsync(client, "/v1/memories/search/", """{"query":"tea","user_id":"u","output_format":"v1.1"}""")).GetProperty("results")));
        Assert.Equal(["id", "memory"], (await PostAsync(client, "/v2/memories/", """{"filters":{"user_id":"u"},"fields":["memory"]}"""))[0].EnumerateObject().Select(member => member.Name));
        Assert.Equal("I like tea", (await PostAsync(client, "/v1/summary/", """{"filters":{"user_id":"u"}}""")).GetProperty("summary").GetString());
        Assert.Equal(1, (await GetAsync(client, "/v1/stats/")).GetProperty("total_memories").GetInt32());
        Assert.Equal(["u"], (await GetAsync(client, "/v1/entities/filters/")).GetProperty("users").EnumerateArray().Select(user => user.GetString()));
        Assert.Equal(1, (await GetAsync(client, "/v1/entities/user/u/")).GetProperty("total_memories").GetInt32());
        Assert.Equal("user", Text(await GetAsync(client, "/v2/entities/user/u/"), "type"));
    }

    [Fact]
    public async Task An_event_tells_what_an_add_stored()
    {
        using var client = await fixture.Host.ClientAsync();
        var added = await PostAsync(client, "/v3/memories/add/", """{"user_id":"u","infer":false,"messages":[{"role":"user","content":"I like tea"}],"expiration_date":"2999-12-31","timestamp":1700000000}""");
        Assert.Equal("SUCCEEDED", Text(added, "status"));
        var told = await GetAsync(client, $"/v1/event/{Text(added, "event_id")}/");
        Assert.Equal(("SUCCEEDED", "I like tea"), (Text(told, "status"), told.GetProperty("results")[0].GetProperty("data").GetProperty("memory").GetString()));
        Assert.Equal(JsonValueKind.Array, (await GetAsync(client, "/v1/events/")).GetProperty("results").ValueKind);
        var memory = await GetAsync(client, $"/v1/memories/{added.GetProperty("results")[0].GetProperty("id").GetString()}/");
        Assert.Equal("2999-12-31", Text(memory, "expiration_date"));
        var again = await PostAsync(client, "/v3/memories/add/", """{"user_id":"u","infer":false,"messages":[{"role":"user","content":"I like tea"}]}""");
        Assert.DoesNotContain(again.GetProperty("results").EnumerateArray(), item => item.GetProperty("id").GetString() == Text(memory, "id"));
    }

    [Theory]
    [InlineData("user")]
    [InlineData("agent")]
    [InlineData("app")]
    [InlineData("run")]
    public async Task A_subject_can_be_made_known_before_it_has_memories(string type)
    {
        using var client = await fixture.Host.ClientAsync();
        var made = await PostAsync(client, $"/v1/{type}s/", $$"""{"{{type}}_id":"x"}""");
        Assert.Equal((type, "x", 0), (Text(made, "type"), Text(made, "name"), made.GetProperty("total_memories").GetInt32()));
        await PostAsync(client, "/v3/memories/add/", $$"""{"{{type}}_id":"x","infer":false,"messages":[{"role":"user","content":"I like tea"}]}""");
        Assert.Equal(1, (await PostAsync(client, $"/v1/{type}s/", $$"""{"{{type}}_id":"x"}""")).GetProperty("total_memories").GetInt32());
        using var refused = await client.PostTextAsync($"/v1/{type}s/", "{}");
        Assert.Equal(400, (int)refused.StatusCode);
    }

    [Theory]
    [InlineData("""{"user_id":"f","metadata":{"cat":"a"}}""", "0 4 8")]
    [InlineData("""{"AND":[{"user_id":"f"},{"metadata":{"cat":{"ne":"a"}}}]}""", "1 2 3 5 6 7 9")]
    [InlineData("""{"AND":[{"user_id":"f"},{"metadata":{"tag":{"contains":"ag3"}}}]}""", "3")]
    [InlineData("""{"AND":[{"user_id":"f"},{"OR":[{"metadata":{"cat":"a"}},{"metadata":{"cat":"b"}}]}]}""", "0 1 4 5 8 9")]
    [InlineData("""{"AND":[{"user_id":"f"}],"OR":[{"metadata":{"cat":"a"}},{"metadata":{"cat":"b"}}]}""", "0 1 4 5 8 9")]
    [InlineData("""{"AND":[{"user_id":"f"},{"NOT":[{"metadata":{"cat":"a"}},{"metadata":{"cat":"b"}}]}]}""", "2 3 6 7")]
    [InlineData("""{"AND":[{"user_id":"f"},{"NOT":{"metadata":{"cat":"a"}}}]}""", "1 2 3 5 6 7 9")]
    [InlineData("""{"AND":[{"user_id":"f"},{"created_at":{"gte":"2020-01-01"}}]}""", "0 1 2 3 4 5 6 7 8 9")]
    [InlineData("""{"AND":[{"user_id":"f"},{"created_at":{"lt":"2020-01-01"}}]}""", "")]
    [InlineData("""{"AND":[{"user_id":"f"},{"keywords":{"icontains":"NUMBER 7"}}]}""", "7")]
    [InlineData("""{"OR":[{"user_id":"f"},{"agent_id":"g"}]}""", "0 1 2 3 4 5 6 7 8 9")]
    [InlineData("""{"AND":[{"user_id":"f"},{"run_id":"*"}]}""", "1 3 5 7 9")]
    public async Task A_filter_of_the_hosted_grammar_finds_the_same_in_search_and_listing(string filters, string expected)
    {
        using var client = await fixture.Host.ClientAsync();
        for (var n = 0; n < 10; n++)
        {
            var run = n % 2 == 1 ? ",\"run_id\":\"r\"" : string.Empty;
            await PostAsync(client, "/v3/memories/add/", $$"""{"user_id":"f"{{run}},"infer":false,"metadata":{"cat":"{{"abcd"[n % 4]}}","n":{{n}},"tag":"Tag{{n}}"},"messages":[{"role":"user","content":"Item number {{n}}"}]}""");
        }

        var found = await PostAsync(client, "/v3/memories/search/", $$"""{"query":"Item number","top_k":100,"threshold":0,"filters":{{filters}}}""");
        var listed = await PostAsync(client, "/v3/memories/?page=1&page_size=100", $$"""{"filters":{{filters}}}""");
        Assert.Equal(expected, Numbers(found));
        Assert.Equal(expected, Numbers(listed));

        static string Numbers(JsonElement page) => string.Join(' ', page.GetProperty("results").EnumerateArray().Select(memory => memory.GetProperty("metadata").GetProperty("n").GetInt32()).Order());
    }

    [Theory]
    [InlineData("/v3/memories/add/", """{"messages":[{"role":"user","content":"x"}]}""")]
    [InlineData("/v3/memories/add/", """{"user_id":"u"}""")]
    [InlineData("/v3/memories/search/", """{"query":"x","filters":{}}""")]
    [InlineData("/v3/memories/search/", """{"query":"x","filters":{"user_id":"*"}}""")]
    [InlineData("/v3/memories/search/", """{"filters":{"user_id":"u"}}""")]
    [InlineData("/v3/memories/", """{"filters":{"user_id":"u","n":{"between":1}}}""")]
    [InlineData("/v1/feedback/", """{"memory_id":"00000000-0000-7000-8000-000000000000","feedback":"MEH"}""")]
    [InlineData("/v1/exports/", """{"filters":{"user_id":"u"}}""")]
    [InlineData("/v3/memories/search/", "not json")]
    public async Task A_wrong_request_is_refused_in_Mem0s_way(string path, string body)
    {
        using var client = await fixture.Host.ClientAsync();
        using var response = await client.PostTextAsync(path, body);
        Assert.Equal(400, (int)response.StatusCode);
        Assert.Equal(JsonValueKind.String, JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct)).GetProperty("detail").ValueKind);
    }

    [Theory]
    [InlineData("GET", "/api/v1/orgs/organizations/o/projects/p/")]
    [InlineData("POST", "/api/v1/webhooks/projects/p/")]
    [InlineData("POST", "/v2/profiles/jobs/")]
    [InlineData("GET", "/v2/entities/user/u/profile/")]
    [InlineData("POST", "/configure")]
    [InlineData("POST", "/generate-instructions")]
    public async Task What_has_no_counterpart_answers_501_with_a_code(string method, string path)
    {
        using var client = await fixture.Host.ClientAsync();
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        using var response = await client.SendAsync(request, Ct);
        Assert.Equal((501, "not_implemented"), ((int)response.StatusCode, Text(JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct)), "code")));
    }

    [Fact]
    public async Task Without_a_key_every_route_of_Mem0_answers_401_with_a_detail()
    {
        using var client = fixture.Host.Client(null);
        var routes = ((IEndpointRouteBuilder)fixture.Host.App).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .Where(endpoint => endpoint.Metadata.GetMetadata<Mem0Route>() is not null).ToList();
        Assert.InRange(routes.Count, 40, 100);
        foreach (var route in routes)
        {
            var path = route.RoutePattern.RawText!.Replace("{id:guid}", Guid.Empty.ToString(), StringComparison.Ordinal).Replace("{**rest}", "x", StringComparison.Ordinal)
                .Replace("{id}", "x", StringComparison.Ordinal).Replace("{type}", "user", StringComparison.Ordinal).Replace("{type:regex(^(user|agent|app|run)$)}", "user", StringComparison.Ordinal);
            foreach (var method in RouteCoverage.Methods(route))
            {
                using var request = new HttpRequestMessage(new HttpMethod(method), path);
                using var response = await client.SendAsync(request, Ct);
                Assert.True((int)response.StatusCode == 401, $"{method} {path}: {(int)response.StatusCode}");
                Assert.Contains("\"detail\"", await response.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Every_route_of_Mem0_is_listed_in_the_documents()
    {
        var documented = File.ReadAllText(Path.Combine(AgentFlow.Tests.Architecture.SourceTreeTests.Root, "docs", "memory.md"));
        var missing = ((IEndpointRouteBuilder)fixture.Host.App).DataSources.SelectMany(source => source.Endpoints).OfType<RouteEndpoint>()
            .Where(endpoint => endpoint.Metadata.GetMetadata<Mem0Route>() is not null)
            .Select(endpoint => endpoint.RoutePattern.RawText!.Replace(":guid", string.Empty, StringComparison.Ordinal).Replace(":regex(^(user|agent|app|run)$)", string.Empty, StringComparison.Ordinal))
            .Where(path => !documented.Contains($"`{path}`", StringComparison.Ordinal));
        Assert.Empty(missing);
    }

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();

    private static IEnumerable<string?> Ids(JsonElement list) => list.EnumerateArray().Select(item => item.GetProperty("id").GetString());

    private static async Task<JsonElement> GetAsync(HttpClient client, string path) => await ReadAsync(await client.GetAsync(path, Ct));

    private static async Task<JsonElement> PostAsync(HttpClient client, string path, string body) => await ReadAsync(await client.PostTextAsync(path, body));

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync(Ct);
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode} {text}");
        return JsonElement.Parse(text);
    }
}
