using System.Net;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Memories;

/// <summary>The caller's own memories through the API, with the real memory service behind it.</summary>
public sealed class MemoryEndpointsTests(MemoryEndpointsTests.Services services) : IClassFixture<MemoryEndpointsTests.Services>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_added_is_listed_found_changed_and_forgotten()
    {
        var user = await services.Api.RegisterAsync();
        using var added = await user.Client.PostAsJsonAsync("/api/memories", new { text = "I like green tea", infer = false }, Ct);
        Assert.True(added.StatusCode is HttpStatusCode.Created, await added.Content.ReadAsStringAsync(Ct));
        var id = Assert.Single((await added.Content.ReadFromJsonAsync<AddMemoryResponse>(ContractJson.Options, Ct))!.Items).Id;

        var listed = Assert.Single((await ListAsync(user)).Items);
        Assert.Equal((id, "I like green tea", user.Id.ToString()), (listed.Id, listed.Text, listed.UserId));

        using var searched = await user.Client.PostAsJsonAsync("/api/memories/search", new { query = "green tea", explain = true }, Ct);
        var found = await searched.Content.ReadFromJsonAsync<SearchMemoriesResponse>(ContractJson.Options, Ct);
        Assert.Equal(id, Assert.Single(found!.Items).Id);

        using var patched = await user.Client.PatchAsJsonAsync($"/api/memories/{id}", new { text = "I like black tea" }, Ct);
        Assert.Equal(HttpStatusCode.OK, patched.StatusCode);
        var one = await user.Client.GetFromJsonAsync<MemoryItem>($"/api/memories/{id}", ContractJson.Options, Ct);
        Assert.Equal("I like black tea", one!.Text);
        var history = await user.Client.GetFromJsonAsync<Page<MemoryHistoryEntry>>($"/api/memories/{id}/history", ContractJson.Options, Ct);
        Assert.Equal(["I like green tea", "I like black tea"], history!.Items.Select(entry => entry.NewText));

        Assert.Equal(HttpStatusCode.NoContent, (await user.Client.DeleteAsync($"/api/memories/{id}", Ct)).StatusCode);
        Assert.Empty((await ListAsync(user)).Items);
        Assert.Equal(HttpStatusCode.NotFound, (await user.Client.GetAsync($"/api/memories/{id}", Ct)).StatusCode);
    }

    [Fact]
    public async Task Another_account_sees_and_changes_nothing()
    {
        var owner = await services.Api.RegisterAsync();
        var stranger = await services.Api.RegisterAsync();
        using var added = await owner.Client.PostAsJsonAsync("/api/memories", new { text = "The code is 4711", infer = false }, Ct);
        var id = Assert.Single((await added.Content.ReadFromJsonAsync<AddMemoryResponse>(ContractJson.Options, Ct))!.Items).Id;

        Assert.Empty((await ListAsync(stranger)).Items);
        using var searched = await stranger.Client.PostAsJsonAsync("/api/memories/search", new { query = "code 4711", filter = new { userId = owner.Id } }, Ct);
        Assert.Empty((await searched.Content.ReadFromJsonAsync<SearchMemoriesResponse>(ContractJson.Options, Ct))!.Items);
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.Client.GetAsync($"/api/memories/{id}", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.Client.GetAsync($"/api/memories/{id}/history", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.Client.DeleteAsync($"/api/memories/{id}", Ct)).StatusCode);
        using var patched = await stranger.Client.PatchAsJsonAsync($"/api/memories/{id}", new { text = "changed" }, Ct);
        Assert.Equal(HttpStatusCode.NotFound, patched.StatusCode);
        Assert.Equal("The code is 4711", Assert.Single((await ListAsync(owner)).Items).Text);
    }

    [Fact]
    public async Task Everything_is_forgotten_at_once_but_only_the_callers()
    {
        var leaver = await services.Api.RegisterAsync();
        var other = await services.Api.RegisterAsync();
        foreach (var user in new[] { leaver, other })
            using (await user.Client.PostAsJsonAsync("/api/memories", new { text = "I live in Lisbon", infer = false }, Ct)) { }

        Assert.Equal(HttpStatusCode.OK, (await leaver.Client.DeleteAsync("/api/memories", Ct)).StatusCode);
        Assert.Empty((await ListAsync(leaver)).Items);
        Assert.Single((await ListAsync(other)).Items);
    }

    [Fact]
    public async Task Naming_a_user_is_refused()
    {
        var user = await services.Api.RegisterAsync();
        Assert.Equal(HttpStatusCode.BadRequest, (await user.Client.GetAsync("/api/memories?userId=somebody", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.BadRequest, (await user.Client.DeleteAsync("/api/memories?userId=somebody", Ct)).StatusCode);
        using var added = await user.Client.PostAsJsonAsync("/api/memories", new { text = "x", userId = "somebody" }, Ct);
        Assert.Equal(HttpStatusCode.BadRequest, added.StatusCode);
        using var searched = await user.Client.PostAsJsonAsync("/api/memories/search", new[] { "no object" }, Ct);
        Assert.Equal(HttpStatusCode.BadRequest, searched.StatusCode);
    }

    [Fact]
    public async Task What_is_remembered_is_exported_and_erased_with_a_receipt()
    {
        var leaver = await services.Api.RegisterAsync();
        var other = await services.Api.RegisterAsync();
        foreach (var user in new[] { leaver, other })
            using (await user.Client.PostAsJsonAsync("/api/memories", new { text = "I play the oboe", infer = false }, Ct)) { }

        using var exported = await leaver.Client.PostAsync("/api/memories/export", null, Ct);
        var export = await exported.Content.ReadFromJsonAsync<MemoryExport>(ContractJson.Options, Ct);
        Assert.Equal("I play the oboe", Assert.Single(export!.Memories).Memory.Text);

        using var erased = await leaver.Client.PostAsync("/api/memories/erase", null, Ct);
        var receipt = await erased.Content.ReadFromJsonAsync<ErasureReceipt>(ContractJson.Options, Ct);
        Assert.True(receipt!.Complete, await erased.Content.ReadAsStringAsync(Ct));
        Assert.Empty((await ListAsync(leaver)).Items);
        Assert.Single((await ListAsync(other)).Items);

        using var nobody = services.Api.Client();
        foreach (var path in new[] { "/api/memories/export", "/api/memories/erase" })
            Assert.Equal(HttpStatusCode.Unauthorized, (await nobody.PostAsync(path, null, Ct)).StatusCode);
    }

    [Fact]
    public async Task What_waits_for_a_word_is_used_only_after_it()
    {
        await using var memory = await MemoryHost.StartAsync(settings: ("Memory:ReviewInferred", "true"));
        await using var api = await ApiHost.StartAsync(new Dictionary<string, string?>
        {
            ["services:memory:http:0"] = memory.Address.ToString(),
            ["Auth:Keys"] = MemoryHost.AuthKeys,
        });
        var user = await api.RegisterAsync();
        using (await user.Client.PostAsJsonAsync("/api/memories", new { messages = new[] { new { role = "user", content = "I prefer green tea over coffee." } } }, Ct)) { }

        var waiting = Assert.Single((await user.Client.GetFromJsonAsync<Page<MemoryItem>>("/api/memories/review", ContractJson.Options, Ct))!.Items);
        Assert.Empty((await ListAsync(user)).Items);
        using var unclear = await user.Client.PostAsJsonAsync($"/api/memories/review/{waiting.Id}", new { decision = "perhaps" }, Ct);
        Assert.Equal(HttpStatusCode.BadRequest, unclear.StatusCode);
        using var approved = await user.Client.PostAsJsonAsync($"/api/memories/review/{waiting.Id}", new { decision = "approve" }, Ct);
        Assert.Equal(HttpStatusCode.OK, approved.StatusCode);
        Assert.Equal(waiting.Id, Assert.Single((await ListAsync(user)).Items).Id);
        Assert.Equal(HttpStatusCode.BadRequest, (await user.Client.GetAsync("/api/memories/review?userId=somebody", Ct)).StatusCode);
    }

    [Fact]
    public async Task A_memory_service_that_is_down_is_said_with_a_time_to_come_back()
    {
        await using var alone = await ApiHost.StartAsync(new Dictionary<string, string?> { ["services:memory:http:0"] = "http://127.0.0.1:9" });
        using var response = await alone.Admin.Client.GetAsync("/api/memories", Ct);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.NotNull(response.Headers.RetryAfter);
        Assert.Contains("memory_unavailable", await response.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
    }

    private static async Task<Page<MemoryItem>> ListAsync(TestUser user) =>
        (await user.Client.GetFromJsonAsync<Page<MemoryItem>>("/api/memories", ContractJson.Options, Ct))!;

    public sealed class Services : IAsyncLifetime
    {
        private MemoryHost? _memory;

        public ApiHost Api { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            _memory = await MemoryHost.StartAsync();
            Api = await ApiHost.StartAsync(new Dictionary<string, string?>
            {
                ["services:memory:http:0"] = _memory.Address.ToString(),
                ["Auth:Keys"] = MemoryHost.AuthKeys,
            });
        }

        public async ValueTask DisposeAsync()
        {
            if (Api is not null)
                await Api.DisposeAsync();
            if (_memory is not null)
                await _memory.DisposeAsync();
        }
    }
}
