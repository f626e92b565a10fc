using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Mem0.Hosted;

/// <summary>Lists that are read page by page while others write: what was there throughout is met exactly once.</summary>
public sealed class HostedPagesTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private const int Count = 12;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("POST", "/v3/memories/?page=1&page_size=3")]
    [InlineData("POST", "/v2/memories/?page=1&page_size=3")]
    [InlineData("GET", "/v1/memories/?user_id=u&page=1&page_size=3")]
    public async Task Memories(string method, string first)
    {
        using var client = await fixture.Host.ClientAsync();
        var (stay, go) = await FillAsync(client);
        var met = new List<string>();
        await FollowAsync(client, method, first, page =>
        {
            met.AddRange(page.Select(memory => memory.GetProperty("id").GetString()!));
            return ChangeAsync(client, go);
        });

        Assert.Equal(stay.Order(StringComparer.Ordinal), met.Where(stay.Contains).Order(StringComparer.Ordinal));
        Assert.Equal(met.Distinct().Count(), met.Count);
    }

    [Fact]
    public async Task Events()
    {
        using var client = await fixture.Host.ClientAsync();
        var (stay, go) = await FillAsync(client);
        var met = new List<string>();
        await FollowAsync(client, "GET", "/v1/events/?page=1&page_size=3", page =>
        {
            met.AddRange(page.Where(one => one.GetProperty("event_type").GetString() == "ADD").Select(one => one.GetProperty("results")[0].GetProperty("id").GetString()!));
            return ChangeAsync(client, go);
        });

        Assert.Equal(stay.Order(StringComparer.Ordinal), met.Where(stay.Contains).Order(StringComparer.Ordinal));
        Assert.Equal(met.Distinct().Count(), met.Count);
    }

    [Fact]
    public async Task Subjects()
    {
        using var client = await fixture.Host.ClientAsync();
        var gone = new Queue<string>(["user01", "user04", "user07"]);
        for (var i = 0; i < Count; i++)
            await client.AddVerbatimAsync("x", $"user{i:00}");
        var met = new List<string>();
        var added = 0;
        await FollowAsync(client, "GET", "/v1/entities/?page=1&page_size=3", async page =>
        {
            met.AddRange(page.Select(subject => subject.GetProperty("name").GetString()!));
            await client.AddVerbatimAsync("x", $"aaa{added++:00}");
            await client.AddVerbatimAsync("x", $"aaa{added++:00}");
            if (gone.TryDequeue(out var user))
                (await client.DeleteAsync($"/v2/entities/user/{user}/", Ct)).EnsureSuccessStatusCode();
        });

        Assert.Equal(Enumerable.Range(0, Count).Select(i => $"user{i:00}").Except(["user01", "user04", "user07"]), met.Where(name => name is not ("user01" or "user04" or "user07")));
    }

    [Theory]
    [InlineData("/v3/memories/?cursor=%00")]
    [InlineData("/v3/memories/?cursor=abc")]
    [InlineData("/v1/events/?cursor=!")]
    [InlineData("/v1/entities/?cursor=OQ")]
    public async Task A_cursor_that_is_not_ours_is_refused(string path)
    {
        using var client = await fixture.Host.ClientAsync();
        using var response = path.StartsWith("/v3", StringComparison.Ordinal) ? await client.PostTextAsync(path, """{"filters":{"user_id":"u"}}""") : await client.GetAsync(path, Ct);
        Assert.Equal(400, (int)response.StatusCode);
    }

    /// <summary>Our own lists, with their cursors.</summary>
    [Fact]
    public async Task Our_own_list_of_memories_and_feed_of_events()
    {
        using var client = await fixture.Host.ClientAsync();
        var (stay, go) = await FillAsync(client);
        var met = new List<string>();
        string? cursor = null;
        do
        {
            var page = await client.ListAsync($"?userId=u&limit=3{(cursor is null ? "" : "&cursor=" + cursor)}");
            met.AddRange(page.Items.Select(memory => memory.Id.ToString()));
            cursor = page.NextCursor;
            await ChangeAsync(client, go);
        }
        while (cursor is not null);
        Assert.Equal(stay.Order(StringComparer.Ordinal), met.Where(stay.Contains).Order(StringComparer.Ordinal));
        Assert.Equal(met.Distinct().Count(), met.Count);

        // The feed tells every change once, however many readers there are and whatever is written meanwhile.
        var told = new List<(string, int)>();
        string? after = null;
        var writes = 4;
        while (true)
        {
            var page = await MemoryCalls.ReadAsync<AgentFlow.Contracts.Page<MemoryFeedEntry>>(await client.GetAsync($"/api/events?limit=5{(after is null ? "" : "&cursor=" + after)}", Ct));
            told.AddRange(page.Items.Select(change => (change.MemoryId.ToString(), change.Version)));
            after = page.NextCursor ?? after;
            if (writes-- > 0)
                await client.AddVerbatimAsync($"late {writes}");
            else if (page.Items.Count == 0)
                break;
        }

        Assert.Equal(told.Distinct().Count(), told.Count);
        Assert.All(stay, id => Assert.Contains((id, 1), told));
    }

    private static async Task<(List<string> Stay, Queue<string> Go)> FillAsync(HttpClient client)
    {
        var (stay, go) = (new List<string>(), new Queue<string>());
        for (var i = 0; i < Count; i++)
        {
            var id = (await client.AddVerbatimAsync($"note {i}")).Items.Single().Id.ToString();
            if (i % 3 == 2)
                go.Enqueue(id);
            else
                stay.Add(id);
        }

        return (stay, go);
    }

    /// <summary>One more at the top, and one less of those that come later.</summary>
    private static async Task ChangeAsync(HttpClient client, Queue<string> go)
    {
        await client.AddVerbatimAsync($"new {Guid.NewGuid():N}");
        if (go.TryDequeue(out var id))
            (await client.DeleteAsync($"/v1/memories/{id}/", Ct)).EnsureSuccessStatusCode();
    }

    private static async Task FollowAsync(HttpClient client, string method, string first, Func<List<JsonElement>, Task> take)
    {
        for (var address = first; address is not null;)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), address);
            if (method == "POST")
                request.Content = new StringContent("""{"filters":{"user_id":"u"}}""", System.Text.Encoding.UTF8, "application/json");
            using var response = await client.SendAsync(request, Ct);
            var page = await MemoryCalls.ReadAsync<JsonElement>(response);
            await take([.. page.GetProperty("results").EnumerateArray()]);
            address = page.GetProperty("next").GetString();
        }
    }
}
