using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Memories;

/// <summary>What is well-formed and still can not be kept, or would make what is kept unreadable.</summary>
public sealed class OddInputTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/api/memories", """{"text":"x","userId":"u","infer":false,"metadata":{"n":1e999999}}""")]
    [InlineData("/api/memories", """{"text":"x","userId":"u","infer":false,"metadata":{"n":[{"m":1e-20000}]}}""")]
    [InlineData("/api/memories", """{"text":"x","userId":"u","infer":false,"categories":[null]}""")]
    [InlineData("/api/memories", """{"messages":[null],"userId":"u","infer":false}""")]
    [InlineData("/api/memories", """{"text":"x","userId":"*","infer":false}""")]
    [InlineData("/api/memories/batch", """{"add":[null]}""")]
    [InlineData("/api/memories/batch", """{"update":[null]}""")]
    [InlineData("/v3/memories/add/", """{"messages":"x","user_id":"u","infer":false,"metadata":{"n":1e999999}}""")]
    [InlineData("/v3/memories/add/", """{"messages":"x","user_id":"*","infer":false}""")]
    [InlineData("/v3/memories/search/", """{"query":"x","filters":{"user_id":"u"},"metadata":"x"}""")]
    [InlineData("/v3/memories/search/", """{"query":"x","filters":{"user_id":"u"},"top_k":1e300}""")]
    [InlineData("/v3/memories/", """{"filters":{"user_id":"u"},"page":1e300}""")]
    [InlineData("/v3/memories/", """{"filters":{"user_id":"u"},"page":3000000,"page_size":1000}""")]
    [InlineData("/v1/exports/", """{"filters":{"user_id":"u"},"schema":{"n":1e999999}}""")]
    [InlineData("/v1/exports/get/", """{"filters":{"user_id":"u","n":1e999999}}""")]
    public async Task What_can_not_be_kept_is_refused_and_nothing_is_stored(string path, string body)
    {
        using var client = await fixture.Host.ClientAsync();
        using var response = await client.PostTextAsync(path, body);
        Assert.Equal(400, (int)response.StatusCode);
        Assert.Equal("invalid_request", JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct)).GetProperty("code").GetString());
        Assert.Empty((await client.ListAsync()).Items);
    }

    [Fact]
    public async Task Metadata_that_is_taken_comes_back_in_every_list_and_by_export_and_import()
    {
        using var client = await fixture.Host.ClientAsync();
        var deepest = Nested(32);
        (await client.PostTextAsync("/api/memories", $$"""{"text":"deep","userId":"u","infer":false,"metadata":{{deepest}}}""")).EnsureSuccessStatusCode();
        Assert.Equal((400, "invalid_request"), await client.PostTextAsync("/api/memories", $$"""{"text":"deeper","userId":"u","infer":false,"metadata":{{Nested(33)}}}""").RefusalAsync());

        Assert.Equal(deepest, (await client.ListAsync()).Items.Single().Metadata!.Value.GetRawText().Replace(" ", string.Empty, StringComparison.Ordinal));
        Assert.Single((await client.SearchAsync("deep")).Items);
        using var listed = await client.PostTextAsync("/v3/memories/", """{"filters":{"user_id":"u"}}""");
        Assert.Equal(1, JsonElement.Parse(await listed.Content.ReadAsStringAsync(Ct)).GetProperty("count").GetInt32());
        (await client.PatchAsJsonAsync($"/api/memories/{(await client.ListAsync()).Items.Single().Id}", new { text = "deep still" }, Ct)).EnsureSuccessStatusCode();
        var export = await (await client.PostTextAsync("/api/export", "{}")).Content.ReadAsStringAsync(Ct);
        await using var elsewhere = await MemoryHost.StartAsync();
        using var target = await elsewhere.ClientAsync();
        Assert.Equal(new ImportReport(1, 0, 0), await MemoryCalls.ReadAsync<ImportReport>(await target.PostTextAsync("/api/import", export)));

        static string Nested(int depth) => string.Concat(Enumerable.Repeat("{\"a\":", depth)) + "1" + new string('}', depth);
    }

    [Fact]
    public async Task A_parameter_that_is_given_twice_is_refused_and_nothing_is_deleted()
    {
        using var client = await fixture.Host.ClientAsync();
        await client.AddVerbatimAsync("stays", "a");
        Assert.Equal((400, "invalid_request"), await client.DeleteAsync("/api/memories?userId=a&userId=b", Ct).RefusalAsync());
        Assert.Equal((400, "invalid_request"), await client.GetAsync("/api/memories?userId=a&userId=b", Ct).RefusalAsync());
        using var mem0 = await client.DeleteAsync("/v1/memories/?user_id=a&user_id=b", Ct);
        Assert.Equal(400, (int)mem0.StatusCode);
        Assert.Equal("stays", (await client.ListAsync()).Items.Single().Text);
    }

    [Theory]
    [InlineData("""[{"memory":"ok","user_id":"u"},{"memory":"x\u0000","user_id":"u"}]""", "invalid_json")]
    [InlineData("""[{"memory":"ok","user_id":"u"},null]""", "invalid_import")]
    [InlineData("""{"results":{"memory":"x"}}""", "invalid_import")]
    [InlineData("""{"format":"agentflow-memories-1","exportedAt":"2024-01-01T00:00:00Z","memories":[null]}""", "invalid_request")]
    [InlineData("""{"format":"agentflow-memories-1","exportedAt":"2024-01-01T00:00:00Z","memories":{}}""", "invalid_request")]
    [InlineData("""{"format":"agentflow-memories-1","exportedAt":"2024-01-01T00:00:00Z","memories":[],"more":1}""", "invalid_json")]
    [InlineData("""{"memories":[{"memory":"ok","user_id":"u"}],"format":"other"}""", "invalid_request")]
    [InlineData("""{"memories":[{"memory":"ok","user_id":"u"}],"memories":[]}""", "invalid_json")]
    [InlineData("""[{"memory":"ok","user_id":"u"}] trailing""", "invalid_json")]
    [InlineData("""[{"memory":"ok","user_id":"u","metadata":{"n":1e999999}}]""", "invalid_request")]
    [InlineData("7", "invalid_json")]
    [InlineData("", "invalid_json")]
    [InlineData("""{"f\ud800rmat":"agentflow-memories-1","memories":[]}""", "invalid_json")]
    public async Task An_import_with_one_wrong_entry_stores_none_of_them(string body, string code)
    {
        using var client = await fixture.Host.ClientAsync();
        Assert.Equal((400, code), await client.PostTextAsync("/api/import", body).RefusalAsync());
        Assert.Empty((await client.ListAsync()).Items);
    }

    [Theory]
    [InlineData("""[{"memory":"small","user_id":"u"},{"memory":"large","user_id":"u","metadata":{"x":"@"}}]""")]
    [InlineData("""{"note":"@","memories":[{"memory":"small","user_id":"u"}]}""")]
    [InlineData("""[{"memory":"small","user_id":"u"},{"memory":"@""")]
    public async Task An_import_with_an_entry_that_is_too_large_says_so_and_stores_nothing(string body)
    {
        using var client = await fixture.Host.ClientAsync();
        var large = body.Replace("@", new string('x', 17 << 20), StringComparison.Ordinal);
        using var response = await client.PostTextAsync("/api/import", large);
        var problem = JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct));
        Assert.Equal((413, "too_large"), ((int)response.StatusCode, problem.GetProperty("code").GetString()));
        Assert.Contains("16 MB", problem.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Empty((await client.ListAsync()).Items);
    }

    [Fact]
    public async Task An_import_with_a_name_that_is_not_utf8_is_refused()
    {
        using var client = await fixture.Host.ClientAsync();
        using var body = new ByteArrayContent([.. """{"f"""u8, 0xAF, .. "\":1,\"memories\":[]}"u8]);
        body.Headers.ContentType = new("application/json");
        Assert.Equal((400, "invalid_json"), await client.PostAsync("/api/import", body, Ct).RefusalAsync());
    }

    [Fact]
    public async Task An_import_may_have_many_members_that_are_not_ours()
    {
        using var client = await fixture.Host.ClientAsync();
        var others = string.Concat(Enumerable.Range(0, 2_000).Select(i => $"\"m{i}\":[{i}],"));
        Assert.Equal(new ImportReport(1, 0, 0), await MemoryCalls.ReadAsync<ImportReport>(await client.PostTextAsync("/api/import", $$"""{{{others}}"results":[{"memory":"small","user_id":"u"}]}""")));
    }

    [Fact]
    public async Task An_import_whose_versions_contradict_each_other_is_refused()
    {
        using var client = await fixture.Host.ClientAsync();
        var id = (await client.AddVerbatimAsync("first words")).Items.Single().Id;
        (await client.PatchAsJsonAsync($"/api/memories/{id}", new { text = "second words" }, Ct)).EnsureSuccessStatusCode();
        var export = await MemoryCalls.ReadAsync<MemoryExport>(await client.PostTextAsync("/api/export", "{}"));
        var memory = export.Memories.Single();
        using var other = await fixture.Host.ClientAsync();
        foreach (var versions in (IReadOnlyList<ExportedVersion>[])[[memory.Versions[0], memory.Versions[0]], [memory.Versions[0] with { Version = 2 }]])
        {
            var wrong = JsonSerializer.Serialize(export with { Memories = [memory with { Versions = versions }] }, ContractJson.Options);
            Assert.Equal((400, "invalid_request"), await other.PostTextAsync("/api/import", wrong).RefusalAsync());
        }

        Assert.Empty((await other.ListAsync()).Items);
    }
}
