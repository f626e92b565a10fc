using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Retrieval.Index.Upkeep;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Search;

public sealed class QdrantMemoryTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Memories_are_found_through_Qdrant_and_without_it_and_after_it_lost_everything()
    {
        Assert.SkipWhen(QdrantServer.FindBinary() is null, QdrantServer.Missing);
        await using var qdrant = await QdrantServer.StartAsync();
        await using var host = await MemoryHost.StartAsync(settings: [("ConnectionStrings:qdrant_http", qdrant.ConnectionString), ("Memory:Upkeep:SettledFor", "00:00:01")]);
        using var client = await host.ClientAsync();
        await Patience.UntilAsync(() => SearchAsync(client, "anything"), found => found.Degraded is null, "Qdrant's first answer");

        await AddAsync(client, "The invoice number is INV-2041_b");
        Assert.Equal(["The invoice number is INV-2041_b"], Texts(await Patience.UntilAsync(() => SearchAsync(client, "inv-2041_b"), found => found.Degraded is null && found.Items.Count == 1, "the invoice")));

        await qdrant.KillAsync();
        await AddAsync(client, "Ana moved to Lisbon");
        var without = await SearchAsync(client, "where did Ana move");
        Assert.Contains("Ana moved to Lisbon", Texts(without));
        Assert.Equal(["qdrant"], without.Degraded);

        await qdrant.StartProcessAsync();
        Assert.Contains("Ana moved to Lisbon", Texts(await Patience.UntilAsync(() => SearchAsync(client, "where did Ana move"), found => found.Degraded is null && found.Items.Any(item => item.Text.Contains("Lisbon", StringComparison.Ordinal)), "Lisbon")));

        await WipeAsync(qdrant);
        await host.Get<IndexUpkeep>().RebuildAsync(isAlone: true, Ct);
        Assert.Contains("The invoice number is INV-2041_b", Texts(await Patience.UntilAsync(() => SearchAsync(client, "inv-2041_b"), found => found.Degraded is null && found.Items.Count > 0, "the rebuilt index")));
    }

    [Fact]
    public async Task A_memory_that_got_a_new_version_behind_Qdrants_back_is_found_by_the_search_that_notices()
    {
        Assert.SkipWhen(QdrantServer.FindBinary() is null, QdrantServer.Missing);
        await using var qdrant = await QdrantServer.StartAsync();
        await using var host = await MemoryHost.StartAsync(settings: [("ConnectionStrings:qdrant_http", qdrant.ConnectionString), ("Memory:Upkeep:SweepInterval", "01:00:00")]);
        using var client = await host.ClientAsync();
        await AddAsync(client, "Ana moved to Lisbon");
        await Patience.UntilAsync(() => SearchAsync(client, "Lisbon"), found => found.Degraded is null && found.Items.Count == 1, "Ana through Qdrant");

        Assert.Equal(1, await host.Get<AgentFlow.ServiceDefaults.Postgres.Database>().AsWorker().ExecuteAsync("update memories set version = version + 1, changed_xid = pg_current_xact_id()", [], Ct));
        var found = await SearchAsync(client, "Lisbon");
        Assert.Equal((2, null), (Assert.Single(found.Items).Version, found.Degraded));
    }

    private static async Task AddAsync(HttpClient client, string text)
    {
        using var response = await client.PostAsJsonAsync("/api/memories", new { text, userId = "u", infer = false }, ContractJson.Options, Ct);
        Assert.Equal(System.Net.HttpStatusCode.Created, response.StatusCode);
    }

    private static async Task<SearchMemoriesResponse> SearchAsync(HttpClient client, string query)
    {
        using var response = await client.PostAsJsonAsync("/api/memories/search", new { query, filter = new { user_id = "u" } }, ContractJson.Options, Ct);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Ct));
        return (await response.Content.ReadFromJsonAsync<SearchMemoriesResponse>(ContractJson.Options, Ct))!;
    }

    private static IEnumerable<string> Texts(SearchMemoriesResponse found) => found.Items.Select(item => item.Text);

    private static async Task WipeAsync(QdrantServer qdrant)
    {
        using var list = new HttpRequestMessage(HttpMethod.Get, new Uri(qdrant.Endpoint, "/collections"));
        list.Headers.Add("api-key", qdrant.ApiKey);
        using var collections = await qdrant.Client.SendAsync(list, Ct);
        foreach (var name in JsonDocument.Parse(await collections.Content.ReadAsStringAsync(Ct)).RootElement.GetProperty("result").GetProperty("collections").EnumerateArray())
        {
            using var drop = new HttpRequestMessage(HttpMethod.Delete, new Uri(qdrant.Endpoint, $"/collections/{name.GetProperty("name").GetString()}"));
            drop.Headers.Add("api-key", qdrant.ApiKey);
            using var dropped = await qdrant.Client.SendAsync(drop, Ct);
            Assert.True(dropped.IsSuccessStatusCode);
        }
    }
}
