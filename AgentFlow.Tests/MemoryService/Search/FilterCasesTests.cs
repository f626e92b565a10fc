using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.MemoryService.Search;

/// <summary>40 memories of one user, of which the last has expired; every filter must find the same in a search and in the listing.</summary>
public sealed class FilterCasesFixture : IAsyncLifetime
{
    private QdrantServer? qdrant;
    private readonly Dictionary<string, (MemoryHost Host, HttpClient Client)> hosts = [];

    public HttpClient Client(string index)
    {
        Assert.SkipUnless(hosts.ContainsKey(index), "There is no Qdrant binary in AgentFlow.Tests/Clients or on PATH.");
        return hosts[index].Client;
    }

    public async ValueTask InitializeAsync()
    {
        hosts["in-process"] = await FillAsync([]);
        if (QdrantServer.FindBinary() is null)
            return;
        qdrant = await QdrantServer.StartAsync();
        hosts["qdrant"] = await FillAsync([("ConnectionStrings:qdrant_http", qdrant.ConnectionString)]);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (host, client) in hosts.Values)
        {
            client.Dispose();
            await host.DisposeAsync();
        }

        if (qdrant is not null)
            await qdrant.DisposeAsync();
    }

    private static async Task<(MemoryHost Host, HttpClient Client)> FillAsync((string Key, string Value)[] settings)
    {
        var clock = new ShiftedClock();
        var host = await MemoryHost.StartAsync(configure: builder => builder.Services.AddSingleton<TimeProvider>(clock), settings: settings);
        var client = await host.ClientAsync();
        for (var n = 0; n < 40; n++)
        {
            var category = "abcd"[n % 4];
            var optional = n % 2 == 1 ? ",\"opt\":\"x\"" : string.Empty;
            await client.AddAsync(new AddMemoryRequest
            {
                Text = $"Item number {n} of category {category}",
                UserId = "filters",
                Infer = false,
                Metadata = JsonElement.Parse($$"""{"cat":"{{category}}","n":{{n}},"tag":"Tag{{n}}"{{optional}}}"""),
                ExpiresAt = n == 39 ? clock.GetUtcNow().AddHours(1) : null,
            });
        }

        clock.Ahead = TimeSpan.FromHours(2);

        // Qdrant's collection is made in the background.
        await Patience.UntilAsync(
            () => client.SearchAsync("Item number", """{"user_id":"filters"}""", topK: 100), found => found.Degraded is null && found.Items.Count == 39, "the whole index");
        return (host, client);
    }
}

public sealed class FilterCasesTests(FilterCasesFixture fixture) : IClassFixture<FilterCasesFixture>
{
    private static readonly (string Filter, Func<int, bool> Matches)[] Cases =
    [
        ("""{"cat":"a"}""", n => n % 4 == 0),
        ("""{"cat":{"eq":"a"}}""", n => n % 4 == 0),
        ("""{"cat":{"ne":"a"}}""", n => n % 4 != 0),
        ("""{"cat":{"in":["a","b"]}}""", n => n % 4 < 2),
        ("""{"cat":{"nin":["a","b"]}}""", n => n % 4 >= 2),
        ("""{"n":{"gte":30}}""", n => n >= 30),
        ("""{"n":{"gte":10,"lt":20}}""", n => n is >= 10 and < 20),
        ("""{"AND":[{"n":{"gte":10}},{"n":{"lt":20}}]}""", n => n is >= 10 and < 20),
        ("""{"AND":[{"n":{"gte":10}},{"cat":"a"}]}""", n => n >= 10 && n % 4 == 0),
        ("""{"OR":[{"cat":"a"},{"cat":"b"}]}""", n => n % 4 < 2),
        ("""{"NOT":[{"cat":"a"}]}""", n => n % 4 != 0),
        ("""{"NOT":[{"cat":"a"},{"cat":"b"}]}""", n => n % 4 >= 2),
        ("""{"AND":[{"OR":[{"cat":"a"},{"cat":"b"}]},{"n":{"lt":20}}]}""", n => n % 4 < 2 && n < 20),
        ("""{"AND":[{"n":{"lt":20}}],"OR":[{"cat":"a"},{"cat":"b"}]}""", n => n % 4 < 2 && n < 20),
        ("""{"NOT":{"cat":"a"}}""", n => n % 4 != 0),
        ("""{"opt":"*"}""", n => n % 2 == 1),
        ("""{"tag":{"contains":"ag3"}}""", n => $"Tag{n}".Contains("ag3", StringComparison.Ordinal)),
        ("""{"tag":{"icontains":"TAG3"}}""", n => $"Tag{n}".Contains("ag3", StringComparison.Ordinal)),
        ("""{"metadata":{"cat":"a"}}""", n => n % 4 == 0),
        ("""{"created_at":{"gte":"2020-01-01"}}""", _ => true),
        ("""{"createdAt":{"gte":"2020-01-01"}}""", _ => true),
    ];

    public static TheoryData<string, int> All()
    {
        var data = new TheoryData<string, int>();
        for (var i = 0; i < Cases.Length; i++)
        {
            data.Add("in-process", i + 1);
            data.Add("qdrant", i + 1);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task A_filter_finds_the_same_in_search_and_listing(string index, int number)
    {
        var (filter, matches) = Cases[number - 1];
        var client = fixture.Client(index);
        var expected = Enumerable.Range(0, 39).Where(matches).ToList();
        var bound = $$"""{"AND":[{"user_id":"filters"},{{filter}}]}""";

        var found = await client.SearchAsync(new SearchMemoriesRequest { Query = "Item number category", Filter = JsonElement.Parse(bound), TopK = 100, Threshold = 0 });
        Assert.Null(found.Degraded);
        Assert.Equal(expected, found.Items.Select(Number).Order());
        var listed = await client.ListAsync($"?limit=100&filter={Uri.EscapeDataString(bound)}");
        Assert.Equal(expected, listed.Items.Select(Number).Order());
    }

    [Theory]
    [InlineData("""{"user_id":"filters","n":{"between":[1,2]}}""", "filter.n.between")]
    [InlineData("""{"user_id":"filters","AND":{"AND":{"AND":{"AND":{"AND":{"AND":{"AND":{"AND":{"AND":{"n":1}}}}}}}}}}""", "filter.AND.AND.AND.AND.AND.AND.AND.AND.AND")]
    public async Task A_wrong_filter_is_refused_naming_the_place(string filter, string place)
    {
        var response = await fixture.Client("in-process").PostTextAsync("/api/memories/search", $$"""{"query":"x","filter":{{filter}}}""");
        var problem = JsonElement.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal((400, "invalid_filter"), ((int)response.StatusCode, problem.GetProperty("code").GetString()));
        Assert.Equal([place], problem.GetProperty("errors").EnumerateObject().Select(error => error.Name));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"user_id":"*"}""")]
    [InlineData("""{"NOT":{"user_id":"x"}}""")]
    [InlineData("""{"cat":"a"}""")]
    public async Task A_search_without_a_subject_is_refused(string filter) =>
        Assert.Equal((400, "no_scope"), await fixture.Client("in-process").PostTextAsync("/api/memories/search", $$"""{"query":"x","filter":{{filter}}}""").RefusalAsync());

    private static int Number(MemoryItem item) => item.Metadata!.Value.GetProperty("n").GetInt32();
}
