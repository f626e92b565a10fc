using System.Net.Http.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Graph;

public sealed class EntityLinkTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_edited_memory_is_linked_to_what_it_names_now()
    {
        using var client = await fixture.Host.ClientAsync();
        var id = (await client.AddVerbatimAsync("met Ada Lovelace in spring")).Items.Single().Id;
        Assert.Equal(["Ada Lovelace"], await NamesAsync());

        (await client.PatchAsJsonAsync($"/api/memories/{id}", new { metadata = new { n = 1 } }, Ct)).EnsureSuccessStatusCode();
        Assert.Equal(["Ada Lovelace"], await NamesAsync());
        (await client.PatchAsJsonAsync($"/api/memories/{id}", new { text = "met Grace Hopper in spring" }, Ct)).EnsureSuccessStatusCode();
        Assert.Equal(["Grace Hopper"], await NamesAsync());
        (await client.PatchAsJsonAsync($"/api/memories/{id}", new { text = "met nobody in spring" }, Ct)).EnsureSuccessStatusCode();
        Assert.Empty(await NamesAsync());

        async Task<IEnumerable<string>> NamesAsync() =>
            (await MemoryCalls.ReadAsync<MemoryGraph>(await client.GetAsync("/api/graph?userId=u", Ct))).Entities.Select(entity => entity.Name);
    }
}
