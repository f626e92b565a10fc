using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Exchange;

public sealed class ExchangeTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_export_imported_elsewhere_and_exported_again_is_the_same()
    {
        using var source = await fixture.Host.ClientAsync();
        await source.AddAsync(new AddMemoryRequest { Text = "I live in Berlin", UserId = "u", Infer = false, Metadata = JsonElement.Parse("""{"a":[1,{"b":null}]}"""), Categories = ["home"] });
        await source.AddVerbatimAsync("I live in Lisbon");
        var edited = (await source.AddVerbatimAsync("first words")).Items.Single().Id;
        (await source.PatchAsJsonAsync($"/api/memories/{edited}", new { text = "second words" }, Ct)).EnsureSuccessStatusCode();
        var export = await ExportAsync(source);
        Assert.Equal(3, export.Memories.Count);
        Assert.Equal(2, export.Memories.Sum(memory => memory.Versions.Count));

        await using var elsewhere = await MemoryHost.StartAsync();
        using var target = await elsewhere.ClientAsync();
        Assert.Equal(new ImportReport(3, 0, 0), await ImportAsync(target, JsonSerializer.Serialize(export, ContractJson.Options)));
        Assert.Equal(new ImportReport(0, 3, 0), await ImportAsync(target, JsonSerializer.Serialize(export, ContractJson.Options)));

        var again = await ExportAsync(target);
        Assert.Equal(JsonSerializer.Serialize(export.Memories, ContractJson.Options), JsonSerializer.Serialize(again.Memories, ContractJson.Options));
        Assert.Equal("second words", (await target.SearchAsync("second words")).Items[0].Text);
    }

    [Fact]
    public async Task An_id_that_somebody_else_has_is_replaced_without_telling_of_him()
    {
        using var source = await fixture.Host.ClientAsync();
        var id = (await source.AddVerbatimAsync("the original")).Items.Single().Id;
        using var target = await fixture.Host.ClientAsync();
        var report = await ImportAsync(target, JsonSerializer.Serialize(await ExportAsync(source), ContractJson.Options));

        Assert.Equal(new ImportReport(1, 0, 1), report);
        Assert.NotEqual(id, (await target.ListAsync()).Items.Single().Id);
        Assert.Equal(id, (await source.ListAsync()).Items.Single().Id);
    }

    [Fact]
    public async Task What_somebody_else_has_is_taken_in_once_and_its_supersession_with_it()
    {
        using var source = await fixture.Host.ClientAsync();
        await source.AddVerbatimAsync("I live in Berlin");
        await source.AddVerbatimAsync("I live in Lisbon");
        var export = JsonSerializer.Serialize(await ExportAsync(source), ContractJson.Options);
        using var target = await fixture.Host.ClientAsync();
        await target.AddVerbatimAsync("I live in Lisbon", "other");

        Assert.Equal(new ImportReport(2, 0, 2), await ImportAsync(target, export));
        Assert.Equal(new ImportReport(0, 2, 0), await ImportAsync(target, export));

        var memories = (await target.ListAsync("?userId=u&superseded=true")).Items.ToDictionary(memory => memory.Text);
        Assert.Equal(["I live in Berlin", "I live in Lisbon"], memories.Keys.Order(StringComparer.Ordinal));
        Assert.Equal(memories["I live in Lisbon"].Id, memories["I live in Berlin"].SupersededBy);
    }

    [Fact]
    public async Task A_superseding_memory_that_was_there_already_keeps_its_place()
    {
        using var source = await fixture.Host.ClientAsync();
        await source.AddVerbatimAsync("I live in Berlin");
        await source.AddVerbatimAsync("I live in Lisbon");
        var export = JsonSerializer.Serialize(await ExportAsync(source), ContractJson.Options);
        using var target = await fixture.Host.ClientAsync();
        var there = (await target.AddVerbatimAsync("I live in Lisbon")).Items.Single().Id;

        Assert.Equal(new ImportReport(1, 1, 1), await ImportAsync(target, export));
        Assert.Equal(there, (await target.ListAsync("?superseded=true")).Items.Single(memory => memory.Text == "I live in Berlin").SupersededBy);
    }

    [Fact]
    public async Task All_of_an_import_can_become_about_one_user()
    {
        using var client = await fixture.Host.ClientAsync();
        var body = """[{"memory":"Likes tulips","user_id":"a"},{"memory":"Deploys on Fridays","agent_id":"bot"}]""";
        Assert.Equal(2, (await MemoryCalls.ReadAsync<ImportReport>(await client.PostTextAsync("/api/import?userId=me", body))).Imported);
        Assert.Equal([("me", "bot"), ("me", null)], (await client.ListAsync()).Items.OrderBy(memory => memory.Text, StringComparer.Ordinal).Select(memory => (memory.UserId, memory.AgentId)));
        Assert.Equal((400, "no_scope"), await client.PostTextAsync("/api/import", """[{"memory":"of nobody"}]""").RefusalAsync());
    }

    [Fact]
    public async Task Names_and_relations_come_along()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        provider.Respond = _ => ExtractionAnswer.Of("""{"facts":[{"text":"Bob is at Initech.","categories":[],"contradicts":[],"relations":[{"source":"Bob","relation":"works_at","target":"Initech"}]}]}""");
        await using var host = await ExtractionAnswer.StartAsync(provider);
        using var source = await host.ClientAsync();
        await source.AddAsync(new AddMemoryRequest { Messages = [new("user", "Bob is at Initech")], UserId = "u" });
        var export = JsonSerializer.Serialize(await ExportAsync(source), ContractJson.Options);
        using var target = await fixture.Host.ClientAsync();
        await ImportAsync(target, export);

        var graph = await MemoryCalls.ReadAsync<MemoryGraph>(await target.GetAsync("/api/graph?userId=u&entity=Bob", Ct));
        Assert.Equal("works_at", Assert.Single(graph.Relations).Relation);
        Assert.Equal(["Bob", "Initech"], graph.Entities.Select(entity => entity.Name).Order());
        await using var elsewhere = await MemoryHost.StartAsync();
        using var third = await elsewhere.ClientAsync();
        await ImportAsync(third, export);
        Assert.Equal(Memories(export), Memories(JsonSerializer.Serialize(await ExportAsync(third), ContractJson.Options)));

        static string Memories(string exported) => exported[exported.IndexOf("\"memories\"", StringComparison.Ordinal)..];
    }

    [Fact]
    public async Task Mem0s_own_export_is_taken_in()
    {
        using var client = await fixture.Host.ClientAsync();
        var report = await ImportAsync(client, """
            {"results":[{"id":"not-a-uuid","memory":"Likes tulips","user_id":"u","metadata":{"k":1},"categories":["garden"],"created_at":"2024-05-01T10:00:00Z"},
            {"memory":"Deploys on Fridays","agent_id":"a"}]}
            """);

        Assert.Equal(2, report.Imported);
        var found = (await client.SearchAsync("tulips")).Items.Single();
        Assert.Equal(("Likes tulips", DateTimeOffset.Parse("2024-05-01T10:00:00Z"), "garden"), (found.Text, found.CreatedAt, found.Categories.Single()));
    }

    [Theory]
    [InlineData("""{"format":"other","exportedAt":"2024-01-01T00:00:00Z","memories":[]}""", "invalid_request")]
    [InlineData("""{"results":[{"text":"x"}]}""", "invalid_import")]
    [InlineData("""{"results":[{"memory":"x"}]}""", "no_scope")]
    [InlineData("[", "invalid_json")]
    public async Task A_wrong_import_stores_nothing(string body, string code)
    {
        using var client = await fixture.Host.ClientAsync();
        Assert.Equal((400, code), await client.PostTextAsync("/api/import", body).RefusalAsync());
        Assert.Equal((400, "invalid_json"), await client.PostTextAsync("/api/export", """{"who":1}""").RefusalAsync());
        Assert.Empty((await client.ListAsync()).Items);
    }

    private static async Task<MemoryExport> ExportAsync(HttpClient client) =>
        await MemoryCalls.ReadAsync<MemoryExport>(await client.PostTextAsync("/api/export", "{}"));

    private static async Task<ImportReport> ImportAsync(HttpClient client, string body) =>
        await MemoryCalls.ReadAsync<ImportReport>(await client.PostTextAsync("/api/import", body));
}
