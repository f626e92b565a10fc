using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Agents;

public sealed class AgentEndpointsTests(OfflineTurns shared) : IClassFixture<OfflineTurns>, IAsyncLifetime
{
    private const string Tutor = """{"slug":"tutor","name":"Tutor","instructions":"Explain.","tools":[{"name":"calculate"}]}""";

    private readonly TurnFixture _turns = shared.Turns;

    private static CancellationToken Limit => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await _turns.RenewAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task An_agent_is_made_read_changed_asked_and_deleted()
    {
        var created = await SendAsync(HttpMethod.Post, "/api/agents", Tutor, HttpStatusCode.Created);
        var changed = await SendAsync(HttpMethod.Put, "/api/agents/tutor", """{"slug":"tutor","instructions":"Explain briefly.","version":1}""", HttpStatusCode.OK);
        var read = await SendAsync(HttpMethod.Get, "/api/agents/tutor", null, HttpStatusCode.OK);
        var events = await _turns.ChatAsync(new() { Message = "Hello?", Agent = "tutor" });
        await SendAsync(HttpMethod.Delete, "/api/agents/tutor", null, HttpStatusCode.NoContent);

        Assert.Equal((1, "own", "calculate"), (created.GetProperty("version").GetInt32(), created.GetProperty("source").GetString(), created.GetProperty("tools")[0].GetProperty("name").GetString()));
        Assert.Equal(2, changed.GetProperty("version").GetInt32());
        Assert.Equal("Explain briefly.", read.GetProperty("instructions").GetString());
        Assert.Equal("tutor", Assert.IsType<RunStarted>(events[0]).Agent);
        await SendAsync(HttpMethod.Get, "/api/agents/tutor", null, HttpStatusCode.NotFound);
        await SendAsync(HttpMethod.Post, "/api/agents", Tutor, HttpStatusCode.Created);
    }

    [Fact]
    public async Task What_another_process_changes_of_an_agent_holds_for_the_next_message()
    {
        await SendAsync(HttpMethod.Post, "/api/agents", Tutor, HttpStatusCode.Created);
        var owner = _turns.User.Id.Value;
        for (var i = 0; i < 2; i++)
        {
            Assert.Equal("default", Assert.IsType<RunStarted>((await _turns.ChatAsync(new() { Message = "Hello?" }))[0]).Agent);
            Assert.Equal("tutor", Assert.IsType<RunStarted>((await _turns.ChatAsync(new() { Message = "Hello?", Agent = "tutor" }))[0]).Agent);
        }

        await Sql.ExecuteAsync(_turns.Api.ConnectionString, $"update agentflow_api.users set default_agent = 'tutor' where owner_id = '{owner}'");
        var byDefault = await _turns.ChatAsync(new() { Message = "Hello?" });
        await Sql.ExecuteAsync(
            _turns.Api.ConnectionString,
            $$"""insert into agentflow_api.agents (owner_id, slug, version, definition) values ('{{owner}}', 'tutor', 2, '{"slug":"tutor","instructions":"x","models":["gone"]}')""");
        using var changed = await _turns.SendAsync(new() { Message = "Hello?", Agent = "tutor" });
        await Sql.ExecuteAsync(_turns.Api.ConnectionString, $"insert into agentflow_api.agents (owner_id, slug, version) values ('{owner}', 'tutor', 3)");
        using var deleted = await _turns.SendAsync(new() { Message = "Hello?", Agent = "tutor" });
        var again = await _turns.ChatAsync(new() { Message = "Hello?" });

        Assert.Equal("tutor", Assert.IsType<RunStarted>(byDefault[0]).Agent);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, HttpStatusCode.NotFound), (changed.StatusCode, deleted.StatusCode));
        Assert.Equal("default", Assert.IsType<RunStarted>(again[0]).Agent);
        Assert.Equal(6L, await Sql.ScalarAsync<long>(_turns.Api.ConnectionString, $"select count(*) from agentflow_api.conversations where owner_id = '{owner}'"));
        Assert.Equal(6L, await Sql.ScalarAsync<long>(_turns.Api.ConnectionString, $"select count(*) from agentflow_api.messages where role = 0 and owner_id = '{owner}'"));
    }

    [Fact]
    public async Task A_conversation_goes_on_with_the_agent_that_was_named_last()
    {
        await SendAsync(HttpMethod.Post, "/api/agents", Tutor, HttpStatusCode.Created);
        var first = Assert.IsType<RunStarted>((await _turns.ChatAsync(new() { Message = "Hello?" }))[0]);
        var conversation = first.ConversationId;
        await _turns.ChatAsync(new() { Message = "Hello?", ConversationId = conversation, Agent = "tutor" });

        var next = Assert.IsType<RunStarted>((await _turns.ChatAsync(new() { Message = "Hello?", ConversationId = conversation }))[0]);

        Assert.Equal(("default", "tutor"), (first.Agent, next.Agent));
        Assert.Equal("tutor", (await SendAsync(HttpMethod.Get, $"/api/chat/{conversation}", null, HttpStatusCode.OK)).GetProperty("agent").GetString());
    }

    [Fact]
    public async Task Agents_are_listed_with_the_installations_and_are_nobody_elses()
    {
        await SendAsync(HttpMethod.Post, "/api/agents", Tutor, HttpStatusCode.Created);
        var mine = await SendAsync(HttpMethod.Get, "/api/agents", null, HttpStatusCode.OK);
        var first = await SendAsync(HttpMethod.Get, "/api/agents?limit=1", null, HttpStatusCode.OK);
        await _turns.RenewAsync();
        var others = await SendAsync(HttpMethod.Get, "/api/agents", null, HttpStatusCode.OK);

        Assert.Equal(["default installation", "tutor own"], Listed(mine));
        Assert.Equal("default", first.GetProperty("nextCursor").GetString());
        Assert.Equal(["default installation"], Listed(others));
        await SendAsync(HttpMethod.Get, "/api/agents/tutor", null, HttpStatusCode.NotFound);
        await SendAsync(HttpMethod.Put, "/api/agents/tutor", Tutor, HttpStatusCode.NotFound);
        await SendAsync(HttpMethod.Delete, "/api/agents/tutor", null, HttpStatusCode.NotFound);
        await SendAsync(HttpMethod.Delete, "/api/agents/default", null, HttpStatusCode.NotFound);
    }

    [Theory]
    [InlineData("""{"slug":"Tutor","instructions":"x"}""", "slug")]
    [InlineData("""{"slug":"tutor"}""", "instructions")]
    [InlineData("""{"slug":"tutor","prompt":"/etc/passwd"}""", "prompt")]
    [InlineData("""{"slug":"tutor","instructions":"x","tools":[{"name":"launch"}]}""", "tools")]
    [InlineData("""{"slug":"tutor","instructions":"x","limits":{"steps":1000}}""", "limits")]
    public async Task A_faulty_definition_is_refused_field_by_field(string body, string field)
    {
        var problem = await SendAsync(HttpMethod.Post, "/api/agents", body, HttpStatusCode.BadRequest);

        Assert.True(problem.GetProperty("errors").TryGetProperty(field, out _), problem.GetRawText());
    }

    [Fact]
    public async Task Slugs_are_taken_once_and_old_versions_change_nothing()
    {
        await SendAsync(HttpMethod.Post, "/api/agents", Tutor, HttpStatusCode.Created);
        await SendAsync(HttpMethod.Post, "/api/agents", Tutor, HttpStatusCode.Conflict);
        await SendAsync(HttpMethod.Put, "/api/agents/tutor", Tutor, HttpStatusCode.OK);
        await SendAsync(HttpMethod.Put, "/api/agents/tutor", """{"slug":"tutor","instructions":"x","version":1}""", HttpStatusCode.Conflict);
        await SendAsync(HttpMethod.Put, "/api/agents/other", Tutor, HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Versions_are_kept_and_tools_are_listed()
    {
        await SendAsync(HttpMethod.Post, "/api/agents", Tutor, HttpStatusCode.Created);
        await SendAsync(HttpMethod.Put, "/api/agents/tutor", """{"slug":"tutor","instructions":"Explain briefly."}""", HttpStatusCode.OK);
        var versions = await SendAsync(HttpMethod.Get, "/api/agents/tutor/versions", null, HttpStatusCode.OK);
        var tools = await SendAsync(HttpMethod.Get, "/api/tools", null, HttpStatusCode.OK);

        Assert.Equal(
            ["2 Explain briefly.", "1 Explain."],
            versions.GetProperty("items").EnumerateArray().Select(version => $"{version.GetProperty("version").GetInt32()} {version.GetProperty("instructions").GetString()}"));
        Assert.Contains(
            tools.GetProperty("items").EnumerateArray(),
            tool => tool.GetProperty("name").GetString() == "calculate" && !tool.GetProperty("hasSideEffects").GetBoolean() && tool.GetProperty("description").GetString()!.Length > 0);
        await SendAsync(HttpMethod.Get, "/api/agents/default/versions", null, HttpStatusCode.NotFound);
        using var nobody = _turns.Api.Client();
        Assert.Equal(HttpStatusCode.Unauthorized, (await nobody.GetAsync("/api/tools", Limit)).StatusCode);
    }

    private async Task<JsonElement> SendAsync(HttpMethod method, string path, string? body, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : new StringContent(body, System.Text.Encoding.UTF8, "application/json") };
        using var response = await _turns.User.Client.SendAsync(request, Limit);
        var text = await response.Content.ReadAsStringAsync(Limit);
        Assert.True(response.StatusCode == expected, $"{(int)response.StatusCode} {text}");
        return text.Length == 0 ? default : JsonElement.Parse(text);
    }

    private static IEnumerable<string> Listed(JsonElement page) =>
        page.GetProperty("items").EnumerateArray().Select(a => $"{a.GetProperty("slug").GetString()} {a.GetProperty("source").GetString()}");
}
