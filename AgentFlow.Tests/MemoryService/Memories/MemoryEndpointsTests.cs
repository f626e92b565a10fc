using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.MemoryService.Memories;

public sealed class MemoryEndpointsTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_was_added_is_found_listed_and_read_at_once()
    {
        using var client = await fixture.Host.ClientAsync();
        var added = (await client.AddVerbatimAsync("The deploy key is on the red USB stick")).Items.Single();

        Assert.Equal(MemoryChange.Added, added.Event);
        var found = (await client.SearchAsync("where is the deploy key")).Items.Single();
        Assert.Equal((added.Id, "The deploy key is on the red USB stick"), (found.Id, found.Text));
        Assert.InRange(found.Score!.Value, 0.01, 1);
        Assert.Equal([added.Id], (await client.ListAsync("?userId=u")).Items.Select(item => item.Id));
        var read = await MemoryCalls.ReadAsync<MemoryItem>(await client.GetAsync($"/api/memories/{added.Id}", Ct));
        Assert.Equal((1, "u", MemoryTrust.User), (read.Version, read.UserId, read.Trust));
    }

    [Fact]
    public async Task The_same_text_is_stored_once()
    {
        using var client = await fixture.Host.ClientAsync();
        var first = (await client.AddVerbatimAsync("I like tea.")).Items.Single();
        var second = (await client.AddVerbatimAsync("  i LIKE   tea")).Items.Single();
        var elsewhere = (await client.AddVerbatimAsync("I like tea.", "other")).Items.Single();

        Assert.Equal((first.Id, MemoryChange.Duplicate), (second.Id, second.Event));
        Assert.Equal(MemoryChange.Added, elsewhere.Event);
    }

    [Fact]
    public async Task A_contradicting_fact_closes_the_old_one_and_as_of_still_finds_it()
    {
        using var client = await fixture.Host.ClientAsync();
        var old = (await client.AddAsync(new AddMemoryRequest { Text = "I live in Berlin", UserId = "u", Infer = false, ObservedAt = DateTimeOffset.Parse("2024-01-01T00:00:00Z") })).Items.Single();
        var changed = (await client.AddAsync(new AddMemoryRequest { Text = "I moved to Lisbon", UserId = "u", Infer = false, ObservedAt = DateTimeOffset.Parse("2025-06-01T00:00:00Z") })).Items.Single();

        Assert.Equal((MemoryChange.Superseded, old.Id), (changed.Event, changed.Supersedes!.Value));
        Assert.Equal([changed.Id], (await client.SearchAsync("where does the user live: Berlin or Lisbon")).Items.Select(item => item.Id));
        var then = await client.SearchAsync(new SearchMemoriesRequest
        {
            Query = "live Berlin Lisbon", Filter = JsonElement.Parse("""{"userId":"u"}"""), AsOf = DateTimeOffset.Parse("2024-07-01T00:00:00Z"),
        });
        Assert.Equal([old.Id], then.Items.Select(item => item.Id));
        var closed = await MemoryCalls.ReadAsync<MemoryItem>(await client.GetAsync($"/api/memories/{old.Id}", Ct));
        Assert.Equal((changed.Id, DateTimeOffset.Parse("2025-06-01T00:00:00Z")), (closed.SupersededBy!.Value, closed.ValidTo!.Value));
    }

    [Fact]
    public async Task A_fact_of_the_past_is_stored_as_closed_by_what_came_after_it()
    {
        using var client = await fixture.Host.ClientAsync();
        var now = (await client.AddAsync(new AddMemoryRequest { Text = "I work at Initech", UserId = "u", Infer = false, ObservedAt = DateTimeOffset.Parse("2025-01-01T00:00:00Z") })).Items.Single();
        var past = (await client.AddAsync(new AddMemoryRequest { Text = "I work at Initrode", UserId = "u", Infer = false, ObservedAt = DateTimeOffset.Parse("2020-01-01T00:00:00Z") })).Items.Single();

        Assert.Equal([now.Id], (await client.ListAsync("?userId=u")).Items.Select(item => item.Id));
        Assert.Equal([past.Id], (await client.ListAsync("?userId=u&asOf=2021-01-01T00:00:00Z")).Items.Select(item => item.Id));
    }

    [Fact]
    public async Task An_edit_makes_a_new_version_and_history_tells_all()
    {
        using var client = await fixture.Host.ClientAsync();
        var id = (await client.AddVerbatimAsync("The launch is on Monday")).Items.Single().Id;
        var edited = await MemoryCalls.ReadAsync<MemoryItem>(
            await client.PatchAsJsonAsync($"/api/memories/{id}", new { text = "The launch is on Friday", metadata = new { team = "rocket" } }, Ct));
        using var deleted = await client.DeleteAsync($"/api/memories/{id}", Ct);

        Assert.Equal((2, "The launch is on Friday", "rocket"), (edited.Version, edited.Text, edited.Metadata!.Value.GetProperty("team").GetString()));
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        Assert.Empty((await client.SearchAsync("launch")).Items);
        Assert.Equal((404, "not_found"), await client.GetAsync($"/api/memories/{id}", Ct).RefusalAsync());
        Assert.Equal((404, "not_found"), await client.DeleteAsync($"/api/memories/{id}", Ct).RefusalAsync());
        var history = await MemoryCalls.ReadAsync<Page<MemoryHistoryEntry>>(await client.GetAsync($"/api/memories/{id}/history", Ct));
        Assert.Equal(
            [(1, MemoryChange.Added, null, "The launch is on Monday"), (2, MemoryChange.Updated, "The launch is on Monday", "The launch is on Friday"), (3, MemoryChange.Deleted, "The launch is on Friday", (string?)null)],
            history.Items.Select(entry => (entry.Version, entry.Event, entry.OldText, entry.NewText)));
    }

    [Fact]
    public async Task An_edited_text_is_found_by_its_new_words_only()
    {
        using var client = await fixture.Host.ClientAsync();
        var id = (await client.AddVerbatimAsync("The meeting is about zebras")).Items.Single().Id;
        (await client.PatchAsJsonAsync($"/api/memories/{id}", new { text = "The meeting is about walruses" }, Ct)).EnsureSuccessStatusCode();

        Assert.Equal("The meeting is about walruses", (await client.SearchAsync("walruses")).Items.Single().Text);
        Assert.DoesNotContain((await client.SearchAsync("zebras")).Items, item => item.Text.Contains("zebras", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Deleting_a_subject_deletes_just_its_memories()
    {
        using var client = await fixture.Host.ClientAsync();
        await client.AddVerbatimAsync("one of mine");
        await client.AddVerbatimAsync("two of mine");
        await client.AddVerbatimAsync("somebody else's", "other");

        using var response = await client.DeleteAsync("/api/memories?userId=u", Ct);
        Assert.Equal(2, (await MemoryCalls.ReadAsync<DeletedMemories>(response)).Deleted);
        Assert.Empty((await client.ListAsync("?userId=u")).Items);
        Assert.Single((await client.ListAsync()).Items);
        Assert.Equal((400, "no_scope"), await client.DeleteAsync("/api/memories", Ct).RefusalAsync());
    }

    [Fact]
    public async Task Pages_follow_each_other_without_gaps()
    {
        using var client = await fixture.Host.ClientAsync();
        for (var i = 0; i < 7; i++)
            await client.AddVerbatimAsync($"memory number {i}");
        var texts = new List<string>();
        string? cursor = null;
        do
        {
            var page = await client.ListAsync($"?userId=u&limit=3{(cursor is null ? "" : $"&cursor={cursor}")}");
            texts.AddRange(page.Items.Select(item => item.Text));
            cursor = page.NextCursor;
        }
        while (cursor is not null);

        Assert.Equal(Enumerable.Range(0, 7).Reverse().Select(i => $"memory number {i}"), texts);
        Assert.Equal((400, "invalid_request"), await client.GetAsync("/api/memories?cursor=forged!", Ct).RefusalAsync());
    }

    [Fact]
    public async Task Another_owners_memory_does_not_exist()
    {
        using var mine = await fixture.Host.ClientAsync();
        using var theirs = await fixture.Host.ClientAsync();
        var id = (await mine.AddVerbatimAsync("a secret about walnuts")).Items.Single().Id;

        Assert.Equal((404, "not_found"), await theirs.GetAsync($"/api/memories/{id}", Ct).RefusalAsync());
        Assert.Equal((404, "not_found"), await theirs.GetAsync($"/api/memories/{id}/history", Ct).RefusalAsync());
        Assert.Equal((404, "not_found"), await theirs.PatchAsJsonAsync($"/api/memories/{id}", new { text = "x" }, Ct).RefusalAsync());
        Assert.Equal((404, "not_found"), await theirs.DeleteAsync($"/api/memories/{id}", Ct).RefusalAsync());
        Assert.Empty((await theirs.SearchAsync("walnuts")).Items);
        Assert.Single((await mine.SearchAsync("walnuts")).Items);
    }

    [Fact]
    public async Task What_has_expired_is_hidden_and_its_text_may_come_again()
    {
        var clock = new ShiftedClock();
        await using var host = await MemoryHost.StartAsync(configure: builder => builder.Services.AddSingleton<TimeProvider>(clock));
        using var client = await host.ClientAsync();
        var soon = clock.GetUtcNow().AddHours(1);
        var first = (await client.AddAsync(new AddMemoryRequest { Text = "parking code 4711", UserId = "u", Infer = false, ExpiresAt = soon })).Items.Single();
        clock.Ahead = TimeSpan.FromHours(2);

        Assert.Empty((await client.SearchAsync("parking code")).Items);
        Assert.Empty((await client.ListAsync("?userId=u")).Items);
        Assert.Equal(first.Id, (await client.ListAsync("?userId=u&expired=true")).Items.Single().Id);
        var again = (await client.AddVerbatimAsync("parking code 4711")).Items.Single();
        Assert.Equal(MemoryChange.Added, again.Event);
        Assert.Single((await client.SearchAsync("parking code")).Items);
    }

    [Fact]
    public async Task The_same_key_answers_the_same_and_refuses_another_body()
    {
        using var client = await fixture.Host.ClientAsync();
        client.DefaultRequestHeaders.Add("Idempotency-Key", "once");
        var first = await client.AddVerbatimAsync("stored once");
        var second = await client.AddVerbatimAsync("stored once");

        Assert.Equal(first.Items, second.Items);
        Assert.Equal((422, "idempotency_key_reused"), await client.PostTextAsync("/api/memories", """{"text":"other","userId":"u","infer":false}""").RefusalAsync());
    }

    [Theory]
    [InlineData("""{"text":"x","infer":false}""", 400, "no_scope")]
    [InlineData("""{"userId":"u"}""", 400, "invalid_request")]
    [InlineData("""{"text":"x","messages":[],"userId":"u"}""", 400, "invalid_request")]
    [InlineData("""{"text":" ","userId":"u"}""", 400, "invalid_request")]
    [InlineData("""{"text":"a\u0000b","userId":"u"}""", 400, "invalid_json")]
    [InlineData("""{"text":"x","userId":"a\u0000b"}""", 400, "invalid_json")]
    [InlineData("""{"text":"x","userId":"u","metadata":[1]}""", 400, "invalid_request")]
    [InlineData("""{"text":"x","userId":"u","metadata":{"a":"\u0000"}}""", 400, "invalid_json")]
    [InlineData("""{"text":"x","userId":"u","expiresAt":"2001-01-01T00:00:00Z"}""", 400, "invalid_request")]
    [InlineData("""{"text":"x","userId":"u","ownerId":"me"}""", 400, "invalid_json")]
    [InlineData("""{"text":"x","userId":"u","userId":"v"}""", 400, "invalid_json")]
    [InlineData("""{"text":7,"userId":"u"}""", 400, "invalid_json")]
    [InlineData("null", 400, "bad_request")]
    public async Task A_wrong_add_is_refused_and_stores_nothing(string body, int status, string code)
    {
        using var client = await fixture.Host.ClientAsync();
        Assert.Equal((status, code), await client.PostTextAsync("/api/memories", body).RefusalAsync());
        Assert.Empty((await client.ListAsync()).Items);
    }

    [Fact]
    public async Task A_text_over_the_limit_is_too_large()
    {
        using var client = await fixture.Host.ClientAsync();
        Assert.Equal(
            (413, "text_too_long"),
            await client.PostAsJsonAsync("/api/memories", new AddMemoryRequest { Text = new string('x', 50_001), UserId = "u", Infer = false }, ContractJson.Options, Ct).RefusalAsync());
        await client.AddVerbatimAsync(new string('x', 50_000));
    }

    [Fact]
    public async Task An_immutable_memory_is_neither_edited_nor_superseded()
    {
        using var client = await fixture.Host.ClientAsync();
        var fixedFact = (await client.AddAsync(new AddMemoryRequest { Text = "My name is Ada", UserId = "u", Infer = false, Immutable = true })).Items.Single();
        var other = (await client.AddVerbatimAsync("My name is Grace")).Items.Single();

        Assert.Equal((MemoryChange.Added, (MemoryId?)null), (other.Event, other.Supersedes));
        Assert.Equal((409, "immutable"), await client.PatchAsJsonAsync($"/api/memories/{fixedFact.Id}", new { text = "My name is Bob" }, Ct).RefusalAsync());
        Assert.Equal((409, "duplicate"), await client.PatchAsJsonAsync($"/api/memories/{other.Id}", new { text = "my name is ADA" }, Ct).RefusalAsync());
        Assert.Equal((400, "invalid_request"), await client.PatchAsJsonAsync($"/api/memories/{other.Id}", new { }, Ct).RefusalAsync());
        using var deleted = await client.DeleteAsync($"/api/memories/{fixedFact.Id}", Ct);
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
    }
}
