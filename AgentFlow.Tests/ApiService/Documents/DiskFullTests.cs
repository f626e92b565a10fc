using System.Net;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>
/// The database says "no space left" as it does on a full disk, put there by a trigger, since a test can't fill a disk everywhere it runs. With a
/// real one: <c>dotnet run -c Release --project AgentFlow.Benchmarks -- soak disk-full</c>.
/// </summary>
public sealed class DiskFullTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("document_original_parts")]
    [InlineData("documents")]
    public async Task Upload_is_507_while_the_disk_is_full_and_taken_afterwards_without_a_restart(string table)
    {
        var client = new DocumentClient(await host.RegisterAsync());
        await FillAsync(table);
        try
        {
            using var refused = await client.PostAsync(("a.txt", "Words that find no room."u8.ToArray()));
            Assert.Equal(HttpStatusCode.InsufficientStorage, refused.StatusCode);
            Assert.Contains("\"disk_full\"", await refused.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
            Assert.True(refused.Headers.Contains("Retry-After"));
            using var read = await client.Http.GetAsync("/api/documents", Ct);
            Assert.Equal(HttpStatusCode.OK, read.StatusCode);
        }
        finally
        {
            await ClearAsync(table);
        }

        Assert.Equal(DocumentStatus.Ready, (await client.IngestAsync("a.txt", "Words that find no room.")).Status);
    }

    [Fact]
    public async Task Ingestion_that_meets_a_full_disk_goes_on_when_there_is_room()
    {
        var client = new DocumentClient(await host.RegisterAsync());
        await FillAsync("chunks");
        DocumentId id;
        try
        {
            var upload = await client.UploadAsync("b.txt", "These words wait for room.");
            id = upload.Id!.Value;
            await Patience.UntilAsync(async () => await AttemptsAsync(upload.TaskId!.Value.Value) > 0, "an attempt that met the full disk");
        }
        finally
        {
            await ClearAsync("chunks");
        }

        Assert.Equal(DocumentStatus.Ready, (await client.FinishedAsync(id)).Status);
    }

    private Task FillAsync(string table) => ExecuteAsync($"""
        create function full_{table}() returns trigger language plpgsql as $$ begin raise exception using errcode = '53100', message = 'No space left on device'; end $$;
        create trigger full_{table} before insert on {table} for each statement execute function full_{table}();
        """);

    private Task ClearAsync(string table) => ExecuteAsync($"drop function full_{table}() cascade");

    private async Task<int> AttemptsAsync(Guid task) => (await host.Services.GetRequiredService<Database>().AsWorker()
        .QueryAsync("select attempts from tasks where id = $1 and error is not null", [task], row => row.GetInt32(0), Ct)).FirstOrDefault();

    /// <summary>As the administrator, since the service may not change its tables.</summary>
    private async Task ExecuteAsync(string sql)
    {
        var settings = new NpgsqlConnectionStringBuilder(host.ConnectionString) { SearchPath = host.Services.GetRequiredService<Database>().Schema, Pooling = false };
        await using var connection = new NpgsqlConnection(settings.ConnectionString);
        await connection.OpenAsync(Ct);
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync(Ct);
    }
}
