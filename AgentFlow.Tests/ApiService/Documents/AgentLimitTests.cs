using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Documents;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.ApiService.Agents;
using AgentFlow.Tests.Support;
using static AgentFlow.Tests.ApiService.Agents.TurnFixture;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>An agent that is limited to collections: what it recalls, what its tool finds, and what it cites, own and shared.</summary>
public sealed class AgentLimitTests(ProviderTurns shared) : IClassFixture<ProviderTurns>, IAsyncLifetime
{
    private readonly TurnFixture _turns = shared.Turns;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => await _turns.RenewAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Recall_tool_and_citations_stay_within_the_agents_collections()
    {
        var user = _turns.User;
        var client = new DocumentClient(user);
        var inside = await client.IngestAsync("inside.txt", "The ferry leaves the north pier at seven.");
        await client.IngestAsync("outside.txt", "The ferry leaves the south pier at nine.");
        var collection = await CreateCollectionAsync(user, "north", inside.Id);
        await CreateAgentAsync(user, "north", collection.Id);
        _turns.Provider.Enqueue(Script.CallTools(("search_documents", """{"query":"ferry pier"}""")), Script.Say("It leaves the north pier at seven. [1]"));

        var events = await _turns.ChatAsync(new ChatRequest { Message = "When does the ferry leave which pier?", Agent = "north" });

        Assert.Equal(["inside.txt"], Assert.Single(events.OfType<ContextRecalled>()).Chunks.Select(chunk => chunk.DocumentName));
        var found = Assert.Single(events.OfType<ToolReturned>()).Result!.Value.GetRawText();
        Assert.Contains("north pier", found, StringComparison.Ordinal);
        Assert.DoesNotContain("south pier", found, StringComparison.Ordinal);
        Assert.Equal(inside.Id, Assert.Single(events.OfType<CitationAdded>()).DocumentId);
    }

    [Fact]
    public async Task Shared_collection_is_recalled_and_cited_by_a_member_until_the_grant_ends()
    {
        var owner = await _turns.Api.RegisterAsync();
        var member = _turns.User;
        var document = await new DocumentClient(owner).IngestAsync("tides.txt", "High water is at six in the harbour of Aber.");
        var collection = await CreateCollectionAsync(owner, "tides", document.Id);
        using var refused = await PostAgentAsync(member, "tides", collection.Id);
        Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
        using var grant = await owner.Client.PostAsJsonAsync($"/api/collections/{collection.Id}/members", new CollectionMemberRequest(member.Id), ContractJson.Options, Ct);
        grant.EnsureSuccessStatusCode();
        await CreateAgentAsync(member, "tides", collection.Id);
        await new DocumentClient(member).IngestAsync("own.txt", "High water in the harbour of Aber is nobody's business.");

        _turns.Provider.Enqueue(Script.Say("At six. [1]"));
        var events = await _turns.ChatAsync(new ChatRequest { Message = "When is high water in the harbour of Aber?", Agent = "tides" });
        using var end = await owner.Client.DeleteAsync($"/api/collections/{collection.Id}/members/{member.Id}", Ct);
        _turns.Provider.Enqueue(Script.Say("I do not know."));
        var after = await _turns.ChatAsync(new ChatRequest { Message = "When is high water in the harbour of Aber?", Agent = "tides" });

        Assert.Equal([document.Id], Assert.Single(events.OfType<ContextRecalled>()).Chunks.Select(chunk => chunk.DocumentId));
        Assert.Equal((document.Id, "High water is at six in the harbour of Aber."), (Assert.Single(events.OfType<CitationAdded>()).DocumentId!.Value, Assert.Single(events.OfType<CitationAdded>()).Quote));
        Assert.Empty(Assert.Single(after.OfType<ContextRecalled>()).Chunks);
    }

    private static async Task<Collection> CreateCollectionAsync(TestUser user, string name, DocumentId document)
    {
        using var response = await user.Client.PostAsJsonAsync("/api/collections", new CreateCollectionRequest(name), ContractJson.Options, Ct);
        var collection = (await response.Content.ReadFromJsonAsync<Collection>(ContractJson.Options, Ct))!;
        using var put = await user.Client.PutAsync($"/api/collections/{collection.Id}/documents/{document}", null, Ct);
        put.EnsureSuccessStatusCode();
        return collection;
    }

    private static async Task CreateAgentAsync(TestUser user, string slug, CollectionId collection)
    {
        using var response = await PostAgentAsync(user, slug, collection);
        Assert.True(response.StatusCode == HttpStatusCode.Created, await response.Content.ReadAsStringAsync(Ct));
        var created = await response.Content.ReadFromJsonAsync<JsonElement>(Ct);
        Assert.Equal(collection.ToString(), created.GetProperty("retrieval").GetProperty("collections")[0].GetString());
    }

    private static Task<HttpResponseMessage> PostAgentAsync(TestUser user, string slug, CollectionId collection) => user.Client.PostAsync(
        "/api/agents",
        new StringContent(
            $$"""{"slug":"{{slug}}","instructions":"Answer from the sources.","retrieval":{"collections":["{{collection}}"]},"tools":[{"name":"search_documents"}] }""",
            Encoding.UTF8,
            "application/json"),
        Ct);
}
