using System.Text.Json;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.ApiService.Agents;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.ApiService.Tools;

/// <summary>Each tool that comes with the service, called by a model through the whole API, over the real memory service and documents.</summary>
public sealed class BuiltInToolTests(BuiltInToolTests.Fixture fixture) : IClassFixture<BuiltInToolTests.Fixture>, IAsyncLifetime
{
    private readonly TurnFixture _turns = fixture.Turns;

    public async ValueTask InitializeAsync() => await _turns.RenewAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Searching_documents_gives_the_callers_passages_only()
    {
        await _turns.UploadAsync("boats.txt", "The harbour closes at nine in winter.");
        await _turns.RenewAsync();
        await _turns.UploadAsync("trains.txt", "The night train leaves at ten.");

        var found = (await CallAsync("search_documents", """{"query":"When does the harbour close, and the night train leave?"}""")).Result!.Value;

        Assert.Equal(["trains.txt"], found.EnumerateArray().Select(hit => hit.GetProperty("document").GetString()));
        Assert.Equal("The night train leaves at ten.", found[0].GetProperty("text").GetString());
    }

    [Fact]
    public async Task What_is_remembered_is_found_and_can_be_forgotten_by_its_owner_only()
    {
        var kept = (await CallAsync("remember", """{"fact":"Prefers the window seat."}""")).Result!.Value[0];
        var id = kept.GetProperty("id").GetString();
        var found = (await CallAsync("search_memory", """{"query":"window seat"}""")).Result!.Value;
        Assert.Equal(("Prefers the window seat.", id), (found[0].GetProperty("text").GetString(), found[0].GetProperty("id").GetString()));

        await _turns.RenewAsync();
        Assert.Empty((await CallAsync("search_memory", """{"query":"window seat"}""")).Result!.Value.EnumerateArray());
        Assert.Equal("NOT_FOUND", (await CallAsync("forget", $$"""{"memoryId":"{{id}}"}""")).Error!.Code);
        Assert.Equal(1L, await _turns.CountAsync($"select count(*) from memories where id = '{id}' and status = 0", memory: true));
    }

    [Fact]
    public async Task Forgetting_removes_the_memory()
    {
        var id = (await CallAsync("remember", """{"fact":"Has a boat called Petrel.","scope":"agent"}""")).Result!.Value[0].GetProperty("id").GetString();
        Assert.Equal(1L, await _turns.CountAsync($"select count(*) from memories where id = '{id}' and agent_id = 'default' and user_id is null and status = 0", memory: true));

        Assert.Equal(id, (await CallAsync("forget", $$"""{"memoryId":"{{id}}"}""")).Result!.Value.GetProperty("forgotten").GetString());

        Assert.Equal(0L, await _turns.CountAsync($"select count(*) from memories where id = '{id}' and status = 0", memory: true));
    }

    [Fact]
    public async Task What_another_conversation_keeps_is_not_forgotten_from_this_one()
    {
        var id = (await CallAsync("remember", """{"fact":"The sails are at the loft.","scope":"session"}""")).Result!.Value[0].GetProperty("id").GetString();

        Assert.Equal("NOT_FOUND", (await CallAsync("forget", $$"""{"memoryId":"{{id}}"}""")).Error!.Code);

        Assert.Equal(1L, await _turns.CountAsync($"select count(*) from memories where id = '{id}' and session_id is not null and status = 0", memory: true));
    }

    [Fact]
    public async Task The_time_is_told_in_the_zone_asked_for()
    {
        var utc = (await CallAsync("current_time", "{}")).Result!.Value.GetProperty("time").GetString();
        var tokyo = (await CallAsync("current_time", """{"timeZone":"Asia/Tokyo"}""")).Result!.Value.GetProperty("time").GetString();

        Assert.EndsWith("+00:00", utc, StringComparison.Ordinal);
        Assert.EndsWith("+09:00", tokyo, StringComparison.Ordinal);
        Assert.InRange(DateTimeOffset.Parse(tokyo!, System.Globalization.CultureInfo.InvariantCulture) - DateTimeOffset.Parse(utc!, System.Globalization.CultureInfo.InvariantCulture), TimeSpan.Zero, TimeSpan.FromMinutes(5));
    }

    [Fact]
    public async Task A_page_is_read_as_text_and_only_where_the_network_may_be_dialled()
    {
        var page = (await CallAsync("fetch_url", $$"""{"url":"{{fixture.Page}}"}""")).Result!.Value;
        Assert.Equal("The museum opens at eight.", page.GetProperty("text").GetString());

        // Neither the service's own database nor a redirect to it is dialled: 127.0.0.1 is allowed here, the metadata address is not.
        var direct = (await CallAsync("fetch_url", """{"url":"http://169.254.169.254/latest/meta-data/"}""")).Error!;
        var redirected = (await CallAsync("fetch_url", $$"""{"url":"{{fixture.Page}}away"}""")).Error!;
        var long_ = (await CallAsync("fetch_url", $$"""{"url":"{{fixture.Page}}long"}""")).Error!;
        Assert.Equal(("INVALID_ARGUMENTS", "INVALID_ARGUMENTS", "INVALID_ARGUMENTS"), (direct.Code, redirected.Code, long_.Code));
    }

    [Fact]
    public async Task What_tools_take_counts_as_the_agents_time()
    {
        (await _turns.User.Client.PostTextAsync("/api/agents", """{"slug":"hasty","instructions":"x","tools":[{"name":"fetch_url"}],"limits":{"seconds":1}}""")).Dispose();
        _turns.Provider.Reset();
        _turns.Provider.Enqueue(Script.CallTools(("fetch_url", $$"""{"url":"{{fixture.Page}}slow"}""")), Script.Say("Done."));

        var events = await _turns.ChatAsync(new() { Message = "Read it.", Agent = "hasty" });

        Assert.Equal("time_limit", Assert.IsType<RunFailed>(events[^1]).Code);
    }

    [Fact]
    public async Task After_a_page_was_read_tools_with_effects_wait_for_consent()
    {
        _turns.Provider.Enqueue(
            Script.CallTools(("fetch_url", $$"""{"url":"{{fixture.Page}}"}""")), Script.CallTools(("remember", """{"fact":"The museum is free."}""")), Script.Say("Done."));

        using var response = await _turns.SendAsync(new() { Message = "Read it and keep what matters." });
        await foreach (var evt in AgentFlow.Tests.ApiService.Runs.SseEvent.ReadAsync(response))
        {
            if (evt.Parsed is not ApprovalRequired asked)
                continue;
            Assert.Equal("remember", asked.Tool);
            Assert.Equal(0L, await _turns.CountAsync($"select count(*) from memories where owner_id = '{_turns.User.Id}'", memory: true));
            return;
        }

        Assert.Fail("Nobody was asked.");
    }

    private async Task<ToolReturned> CallAsync(string tool, string arguments)
    {
        _turns.Provider.Reset();
        _turns.Provider.Enqueue(Script.CallTools((tool, arguments)), Script.Say("Done."));
        var events = await _turns.AskAsync("Please.");
        Assert.Equal("Done.", Assert.IsType<RunCompleted>(events[^1]).Text);
        return Assert.Single(events.OfType<ToolReturned>());
    }

    /// <summary>An agent that may use every tool, and a page to read.</summary>
    public sealed class Fixture : IAsyncLifetime
    {
        private const string Agent = """
            ,"tools":[{"name":"search_documents"},{"name":"search_memory"},{"name":"remember"},{"name":"forget"},{"name":"current_time"},{"name":"fetch_url"}]
            """;

        private WebApplication _site = null!;

        internal TurnFixture Turns { get; private set; } = null!;

        public Uri Page { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            var builder = WebApplication.CreateSlimBuilder(["--urls", "http://127.0.0.1:0"]);
            builder.Logging.ClearProviders();
            _site = builder.Build();
            _site.MapGet("/", () => Results.Content("<html><nav>Menu</nav><script>alert(1)</script><p>The museum opens at eight.</p></html>", "text/html"));
            _site.MapGet("/away", () => Results.Redirect("http://169.254.169.254/latest/meta-data/"));
            _site.MapGet("/slow", async (CancellationToken ct) =>
            {
                // A little more than the second that its reader has.
                await Task.Delay(1_100, ct);
                return Results.Text("The museum is shut.");
            });
            _site.MapGet("/long", () => Results.Text(new string('a', 3_000)));
            await _site.StartAsync(TestContext.Current.CancellationToken);
            Page = new Uri(_site.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
            Turns = await TurnFixture.StartAsync(
                withProvider: true, Agent, ("Tools:FetchUrl", "true"), ("Tools:MaxFetchBytes", "2048"), ("Fetch:AllowedNetworks:0", "127.0.0.1/32"));
        }

        public async ValueTask DisposeAsync()
        {
            await Turns.DisposeAsync();
            await _site.DisposeAsync();
        }
    }
}
