using System.Globalization;
using AgentFlow.Contracts.Documents;
using AgentFlow.Retrieval.Index;
using AgentFlow.ServiceDefaults.Settings;
using AgentFlow.Tests.ApiService.Documents;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.Configuration;
using Npgsql;

namespace AgentFlow.Tests.ServiceDefaults.Settings;

/// <summary><c>POSTGRES_URL</c>, <c>QDRANT_URL</c>, <c>QDRANT_PORT</c> and <c>QDRANT_API_KEY</c>: both services on one database and one Qdrant, and nothing else set.</summary>
public sealed class AliasTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Both_services_run_on_the_database_and_the_Qdrant_that_the_aliases_name()
    {
        Assert.SkipWhen(QdrantServer.FindBinary() is null, QdrantServer.Missing);
        await using var qdrant = await QdrantServer.StartAsync();
        var postgres = ToUri(await PostgresCluster.Shared.CreateDatabaseAsync());
        await using var memory = await MemoryHost.StartAsync(
            string.Empty,
            settings: [("POSTGRES_URL", postgres), ("QDRANT_URL", "127.0.0.1"), ("QDRANT_API_KEY", qdrant.ApiKey), ("QDRANT_PORT", qdrant.Port.ToString(CultureInfo.InvariantCulture))]);
        await using var api = await ApiHost.StartAsync(new()
        {
            ["ConnectionStrings:agentflow-api"] = string.Empty, ["POSTGRES_URL"] = postgres, ["QDRANT_URL"] = $"http://127.0.0.1:{qdrant.Port}", ["QDRANT_PORT"] = "6333",
            ["QDRANT_API_KEY"] = qdrant.ApiKey,
        });

        using var client = await memory.ClientAsync();
        await client.AddVerbatimAsync("The cellar key hangs behind the clock");
        await Patience.UntilAsync(() => client.SearchAsync("cellar key"), found => found is { Degraded: null, Items: [{ Text: "The cellar key hangs behind the clock" }] }, "the memory from Qdrant");
        var documents = new DocumentClient(api.Admin);
        await documents.IngestAsync("attic.txt", "The attic window faces the mill.");
        var request = new DocumentSearchRequest { Query = "attic window" };
        await Patience.UntilAsync(() => documents.AnswerAsync(request), found => found is { Degraded: null, Items: [{ DocumentName: "attic.txt" }] }, "the passage from Qdrant");

        Assert.Equal(1, await qdrant.CountAsync(Assert.Single(await qdrant.AliasesAsync("agentflow-memory.", Ct)).Key, Ct));
        Assert.Equal(1, await qdrant.CountAsync(Assert.Single(await qdrant.AliasesAsync("agentflow-documents.", Ct)).Key, Ct));
    }

    [Theory]
    [InlineData("http://vectors", null, "http://vectors:6333")]
    [InlineData("vectors", "7000", "http://vectors:7000")]
    [InlineData("vectors", "6334", "http://vectors:6333")]
    [InlineData("http://vectors:6334/", null, "http://vectors:6333")]
    [InlineData("http://vectors:7001", "6333", "http://vectors:7001")]
    [InlineData("https://vectors:443", "6333", "https://vectors")]
    [InlineData("https://[::1]", null, "https://[::1]:6333")]
    public void Qdrant_is_asked_at_its_REST_port(string address, string? port, string endpoint) =>
        Assert.Equal(new Uri(endpoint), IndexRegistration.FindQdrant(Settings(("QDRANT_URL", address), ("QDRANT_PORT", port)), "x")!.Endpoint);

    [Fact]
    public void An_alias_is_read_only_where_the_primary_key_is_absent()
    {
        Assert.Null(IndexRegistration.FindQdrant(Settings(("QDRANT_PORT", "6333")), "x"));
        var found = IndexRegistration.FindQdrant(Settings(("QDRANT_URL", "http://alias"), ("ConnectionStrings:qdrant_http", "Endpoint=http://primary:6333")), "x")!;
        Assert.Equal(new Uri("http://primary:6333"), found.Endpoint);
    }

    [Fact]
    public void A_port_or_a_key_that_is_none_is_refused_by_name()
    {
        var error = Assert.Throws<SettingException>(() => IndexRegistration.FindQdrant(Settings(("QDRANT_URL", "vectors"), ("QDRANT_PORT", "0")), "x"));
        Assert.Contains("QDRANT_PORT", error.Message, StringComparison.Ordinal);
        var key = Assert.Throws<SettingException>(() => IndexRegistration.FindQdrant(Settings(("QDRANT_URL", "vectors"), ("QDRANT_API_KEY", "two words")), "x"));
        Assert.StartsWith("QDRANT_API_KEY:", key.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("two words", key.Message, StringComparison.Ordinal);
    }

    private static IConfiguration Settings(params (string Key, string? Value)[] settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, setting.Value))).Build();

    private static string ToUri(string connectionString)
    {
        var parts = new NpgsqlConnectionStringBuilder(connectionString);
        return $"postgresql://{parts.Username}:{Uri.EscapeDataString(parts.Password!)}@{parts.Host}:{parts.Port}/{parts.Database}";
    }
}
