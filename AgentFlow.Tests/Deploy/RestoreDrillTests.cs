using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Retrieval.Index;
using AgentFlow.Tests.AppHost;
using AgentFlow.Tests.ApiService.Documents;
using AgentFlow.Tests.Architecture;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentFlow.Tests.Deploy;

/// <summary>A dump taken while people work, a server that is lost with its index, and everything is back on another one: eng/restore-drill.</summary>
public sealed class RestoreDrillTests(QdrantFixture qdrant) : IClassFixture<QdrantFixture>, IDisposable
{
    private const int Documents = 4;

    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task What_was_backed_up_is_back_with_its_index()
    {
        qdrant.SkipWithoutServer();
        await using var other = await PrivatePostgres.StartAsync();
        var memoryDatabase = await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Memory);
        await using var memory = await MemoryHost.StartAsync(memoryDatabase);
        await using var api = await ApiHost.StartAsync(new() { ["ConnectionStrings:qdrant_http"] = qdrant.Server.ConnectionString });
        var documents = new DocumentClient(api.Admin);
        for (var i = 0; i < Documents; i++)
            await documents.IngestAsync($"manual-{i}.md", $"# Valve {i}\n\nThe valve {i} opens at {i + 3} bar.\n\n# Pump {i}\n\nThe pump {i} stops at {i} bar.");
        await (await memory.ClientAsync()).AddVerbatimAsync("Prefers metric units");
        var index = await IndexAsync(api, expected: null);
        Assert.NotEmpty(index);

        // Somebody goes on working while the dump is taken; what comes after its snapshot is not in it.
        using var working = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        var work = WorkAsync(api.Admin.Client, working.Token);
        var (exitCode, said) = await DrillAsync(api.ConnectionString, memoryDatabase, other);
        await working.CancelAsync();
        Assert.True(await work > 0, "Nothing was asked meanwhile.");
        Assert.True(exitCode == 0, said);
        Assert.Matches(@"restored \d+ tables, \d{2,} rows, 0 lost", said);

        await using var newIndex = await QdrantServer.StartAsync();
        await using var restored = await ApiHost.StartAsync(new()
        {
            ["ConnectionStrings:agentflow-api"] = other.AdminConnectionString(Name(api.ConnectionString)), ["ConnectionStrings:qdrant_http"] = newIndex.ConnectionString, ["Test:NoAdmin"] = "1",
        });
        Assert.Equal(index, await IndexAsync(restored, index.Count));
        using var client = restored.Client();
        using var signedIn = await client.PostAsJsonAsync("/api/auth/login", new { email = api.Admin.Email, password = ApiHost.Password }, Ct);
        Assert.Equal(HttpStatusCode.OK, signedIn.StatusCode);
        await using var restoredMemory = await MemoryHost.StartAsync(other.AdminConnectionString(Name(memoryDatabase)));
    }

    /// <summary>All entries of the service's index, once it holds every passage of the database.</summary>
    private static async Task<IReadOnlyList<IndexEntry>> IndexAsync(ApiHost host, int? expected)
    {
        await using var connection = new NpgsqlConnection(host.ConnectionString);
        await connection.OpenAsync(Ct);
        await using var command = new NpgsqlCommand("select count(*) from agentflow_api.chunks where deleted_at is null", connection);
        var passages = Convert.ToInt32(await command.ExecuteScalarAsync(Ct), System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(expected ?? passages, passages);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        var primary = host.Services.GetRequiredService<VectorIndex>().Primary;
        while (true)
        {
            var entries = new List<IndexEntry>();
            try
            {
                await foreach (var page in primary.ScanAsync(limit.Token))
                    entries.AddRange(page);
            }
            catch (Exception notYet) when (notYet is HttpRequestException or AgentFlow.Retrieval.Index.Qdrant.QdrantException)
            {
                // The collection is made by the service's upkeep.
            }

            if (entries.Count >= passages)
                return [.. entries.OrderBy(entry => entry.Id)];
            await Task.Delay(100, limit.Token);
        }
    }

    private static async Task<int> WorkAsync(HttpClient client, CancellationToken ct)
    {
        var asked = 0;
        while (!ct.IsCancellationRequested)
        {
            using var response = await client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = "At how many bar does valve 1 open?" }, ContractJson.Options, Ct);
            asked += response.EnsureSuccessStatusCode().IsSuccessStatusCode ? 1 : 0;
        }

        return asked;
    }

    private async Task<(int ExitCode, string Said)> DrillAsync(string apiDatabase, string memoryDatabase, PrivatePostgres other)
    {
        using var process = Process.Start(new ProcessStartInfo(
            "bash", [Path.Combine(SourceTreeTests.Root, "eng", "restore-drill"), _folder["backup"], Address(apiDatabase), Address(other.AdminConnectionString("postgres")), Name(apiDatabase), Name(memoryDatabase)])
        {
            RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
        })!;
        var output = process.StandardOutput.ReadToEndAsync(Ct);
        var error = await process.StandardError.ReadToEndAsync(Ct);
        await process.WaitForExitAsync(Ct);
        return (process.ExitCode, await output + error);
    }

    private static string Name(string connectionString) => new NpgsqlConnectionStringBuilder(connectionString).Database!;

    private static string Address(string connectionString)
    {
        var parts = new NpgsqlConnectionStringBuilder(connectionString);
        return $"postgresql://{parts.Username}:{parts.Password}@{parts.Host}:{parts.Port}";
    }
}
