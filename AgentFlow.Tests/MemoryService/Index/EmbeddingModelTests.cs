using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService;
using AgentFlow.MemoryService.Index;
using AgentFlow.Retrieval.Embedding;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Settings;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.Configuration;

namespace AgentFlow.Tests.MemoryService.Index;

public sealed class EmbeddingModelTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Another_model_takes_over_while_memories_are_served_and_going_back_costs_no_call()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        await using var first = await MemoryHost.StartAsync();
        var (owner, key) = await first.CreateKeyAsync();
        using (var client = first.Client(key))
        {
            for (var i = 0; i < 70; i++)
                await client.AddVerbatimAsync($"Tulip number {i} stands in bed {i % 7}");
        }

        await using var second = await MemoryHost.StartAsync(first.ConnectionString, settings: Settings(provider));
        using var served = second.Client(key);
        Assert.Equal("Tulip number 42 stands in bed 0", (await served.SearchAsync("tulip 42")).Items[0].Text);

        await Patience.UntilAsync(() => CountAsync(second, "scripted-8"), count => count == 70, "all memories have vectors of the new model");
        Assert.Equal(70, await CountAsync(second, HashingEmbeddingGenerator.Space.Model));
        var found = (await served.SearchAsync("Tulip number 42 stands in bed 0")).Items;
        Assert.Equal(("Tulip number 42 stands in bed 0", 2), (found[0].Text, found[0].Version));

        await using var third = await MemoryHost.StartAsync(first.ConnectionString);
        Assert.Equal(0, await third.Get<MemoryReembedding>().RunOnceAsync(Ct));
    }

    [Fact]
    public async Task On_Qdrant_each_model_has_a_collection_of_its_own_and_nothing_is_missed_while_processes_of_both_serve()
    {
        Assert.SkipWhen(QdrantServer.FindBinary() is null, QdrantServer.Missing);
        await using var qdrant = await QdrantServer.StartAsync();
        await using var provider = await ScriptedProvider.StartAsync();
        (string, string) index = ("ConnectionStrings:qdrant_http", qdrant.ConnectionString);
        var old = await MemoryHost.StartAsync(settings: index);
        var (_, key) = await old.CreateKeyAsync();
        using var toOld = old.Client(key);
        for (var i = 0; i < 20; i++)
            await toOld.AddVerbatimAsync($"Tulip number {i} stands in bed {i % 7}");
        await Patience.UntilAsync(() => toOld.SearchAsync("tulip 7"), found => found is { Degraded: null, Items.Count: > 0 }, "the first model's collection serves");
        Assert.Equal(["agentflow-memory.hashing-1-512-form4"], (await qdrant.AliasesAsync("agentflow-memory.", Ct)).Keys);

        var changed = await MemoryHost.StartAsync(old.ConnectionString, settings: [.. Settings(provider), index]);
        using var toNew = changed.Client(key);
        for (var i = 0; i < 10; i++)
        {
            await toOld.AddVerbatimAsync($"Lily {i} was planted by the old one");
            Assert.Contains((await toNew.SearchAsync($"lily {i} old one")).Items, item => item.Text == $"Lily {i} was planted by the old one");
            await toNew.AddVerbatimAsync($"Rose {i} was planted by the new one");
            Assert.Contains((await toOld.SearchAsync($"rose {i} new one")).Items, item => item.Text == $"Rose {i} was planted by the new one");
        }

        Assert.Contains((await toOld.SearchAsync("Tulip number 7 stands in bed 0")).Items, item => item.Text == "Tulip number 7 stands in bed 0");
        await changed.Get<MemoryReembedding>().RunOnceAsync(Ct);
        await Patience.UntilAsync(() => CountAsync(changed, "scripted-8"), count => count == 40, "all memories have vectors of the new model");
        await old.DisposeAsync();
        await Patience.UntilAsync(() => toNew.SearchAsync("Lily 3 was planted by the old one"), found => found.Degraded is null && found.Items.Any(item => item.Text == "Lily 3 was planted by the old one"), "the new model's collection serves");
        var collections = await Patience.UntilAsync(() => qdrant.AliasesAsync("agentflow-memory.", Ct), aliases => aliases.Count == 1, "the old model's collection is dropped");
        Assert.Equal(["agentflow-memory.scripted-8-8-form4"], collections.Keys);
        Assert.Equal(40, await qdrant.CountAsync(collections.Values.Single(), Ct));

        await toNew.AddVerbatimAsync("The last bulb was a crocus");
        await changed.DisposeAsync();
        await using var back = await MemoryHost.StartAsync(old.ConnectionString, settings: index);
        using var toBack = back.Client(key);
        Assert.Contains((await toBack.SearchAsync("crocus")).Items, item => item.Text == "The last bulb was a crocus");
        await Patience.UntilAsync(() => toBack.SearchAsync("crocus"), found => found is { Degraded: null, Items: [{ Text: "The last bulb was a crocus" }, ..] }, "the first model's collection serves again");
        Assert.Equal(["agentflow-memory.hashing-1-512-form4"], (await Patience.UntilAsync(() => qdrant.AliasesAsync("agentflow-memory.", Ct), aliases => aliases.Count == 1, "one collection")).Keys);
    }

    [Fact]
    public async Task What_was_stored_while_the_embedder_was_down_gets_its_vector_later()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        provider.EmbeddingDimensions = 9;
        await using var host = await MemoryHost.StartAsync(settings: Settings(provider));
        using var client = await host.ClientAsync();
        Assert.Equal(["embedding"], (await client.AddVerbatimAsync("The kettle is blue")).Degraded!);
        var degraded = await client.SearchAsync("kettle");
        Assert.Equal(("The kettle is blue", "embedding"), (degraded.Items.Single().Text, degraded.Degraded!.Single()));

        provider.EmbeddingDimensions = 8;
        await host.Get<MemoryReembedding>().RunOnceAsync(Ct);
        await Patience.UntilAsync(async () => (await client.SearchAsync("kettle")).Items is [{ Version: 2 }], "the memory has its vector");
        Assert.Null((await client.SearchAsync("kettle")).Degraded);
    }

    [Theory]
    [InlineData("Embedding:Endpoint", "http://x", "Embedding:Model")]
    [InlineData("Embedding:Model", "some-model", "Embedding:Dimensions")]
    [InlineData("Models:Providers:0:Roles:0", "embedding", "Models:Providers:0:Model")]
    public void A_half_configured_embedder_refuses_to_start(string key, string value, string missing)
    {
        var error = Assert.Throws<SettingException>(() => MemoryServiceApplication.Build(["--environment", "Production"], builder => builder.Configuration.AddInMemoryCollection(
            [KeyValuePair.Create("ConnectionStrings:agentflow-memory", (string?)"Host=127.0.0.1;Password=x"), KeyValuePair.Create(key, (string?)value)])));
        Assert.Contains(missing, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_embedder_is_the_one_with_the_role()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(
        [
            KeyValuePair.Create("Models:Providers:0:Model", (string?)"chat-model"),
            KeyValuePair.Create("Models:Providers:1:Roles:0", (string?)"embedding"),
            KeyValuePair.Create("Models:Providers:1:Model", (string?)"text-embedding-3-small"),
            KeyValuePair.Create("Models:Providers:1:Endpoint", (string?)"http://localhost:11434/v1"),
        ]).Build();
        var options = EmbeddingServer.Find(configuration)!;
        Assert.Equal((new Uri("http://localhost:11434/v1/"), new EmbeddingSpace("text-embedding-3-small", 1_536)), (options.Endpoint, options.Space));
    }

    private static (string Key, string Value)[] Settings(ScriptedProvider provider) =>
        [("Embedding:Endpoint", provider.Endpoint.ToString()), ("Embedding:Model", "scripted-8"), ("Embedding:Dimensions", "8"), ("Embedding:ApiKey", "test")];

    private static Task<long> CountAsync(MemoryHost host, string model) => host.Get<Database>().AsWorker().QuerySingleAsync(
        "select count(*) from memory_embeddings where model = $1", [model], reader => reader.GetInt64(0), Ct);
}
