using System.Net.Http.Json;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Contracts.Tasks;
using AgentFlow.Tests.Support;
using Npgsql;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>A document that takes its worker process with it in every attempt, with real processes and SIGKILL.</summary>
public sealed class PoisonDocumentTests
{
    private const int Attempts = 5;

    [Fact]
    public async Task Document_that_kills_its_worker_is_dead_after_exactly_its_attempts_and_the_next_one_is_ingested()
    {
        var ct = TestContext.Current.CancellationToken;
        var settings = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["Queue__Lease"] = "00:00:01", ["Queue__RetryDelay"] = "00:00:00.050", ["Documents__UpkeepInterval"] = "00:00:00.200",
        };
        await using var api = await MeasuredApi.StartAsync(await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Api), settings, ct);
        await using var held = await HoldEmbeddingsAsync(api, ct);
        var poison = await UploadAsync(api, "poison.txt", "Every worker that reads this dies.", ct);

        var kills = 0;
        var task = await TakenAsync(api, poison.TaskId!.Value, 0, ct);
        for (; task.EndedAt is null; task = await TakenAsync(api, poison.TaskId!.Value, task.Attempts, ct))
        {
            Assert.True(++kills <= Attempts, "It was given to a worker once more than its attempts.");
            await api.KillAsync(ct);
            await api.StartAsync(ct);
        }

        await held.DisposeAsync();
        Assert.Equal((BackgroundTaskStatus.Dead, Attempts), (task.Status, task.Attempts));
        var document = await EndAsync(api, poison.Id!.Value, ct);
        Assert.Equal(DocumentStatus.Failed, document.Status);
        Assert.False(string.IsNullOrWhiteSpace(document.FailureReason));
        Assert.Equal(DocumentStatus.Ready, (await EndAsync(api, (await UploadAsync(api, "next.txt", "This one is harmless.", ct)).Id!.Value, ct)).Status);
    }

    /// <summary>No attempt gets past looking for known embeddings while this is open, so that each is killed at work and none has written.</summary>
    private static async Task<NpgsqlConnection> HoldEmbeddingsAsync(MeasuredApi api, CancellationToken ct)
    {
        var connection = new NpgsqlConnection(api.ConnectionString);
        await connection.OpenAsync(ct);
        await using var find = new NpgsqlCommand("select schemaname from pg_tables where tablename = 'chunk_embeddings'", connection);
        var schema = (string)(await find.ExecuteScalarAsync(ct))!;
        await using var hold = new NpgsqlCommand($"begin; lock table \"{schema}\".chunk_embeddings in access exclusive mode", connection);
        await hold.ExecuteNonQueryAsync(ct);
        return connection;
    }

    private static async Task<UploadedDocument> UploadAsync(MeasuredApi api, string name, string text, CancellationToken ct)
    {
        using var form = DocumentClient.Form((name, Encoding.UTF8.GetBytes(text)));
        using var response = await api.Http.PostAsync("/api/documents", form, ct);
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<UploadResponse>(ContractJson.Options, ct))!.Items[0];
    }

    /// <summary>The task when a worker has it in hands in a later attempt, or when it has ended.</summary>
    private static Task<BackgroundTask> TakenAsync(MeasuredApi api, TaskId id, int after, CancellationToken ct) => Patience.UntilAsync(
        async () => (await api.Http.GetFromJsonAsync<BackgroundTask>($"/api/tasks/{id}", ContractJson.Options, ct))!,
        task => (task.Status == BackgroundTaskStatus.Running && task.Attempts > after) || task.EndedAt is not null,
        "the next attempt, or the end");

    private static Task<DocumentSummary> EndAsync(MeasuredApi api, DocumentId id, CancellationToken ct) => Patience.UntilAsync(
        async () => (await api.Http.GetFromJsonAsync<DocumentSummary>($"/api/documents/{id}", ContractJson.Options, ct))!,
        document => document.Status is DocumentStatus.Ready or DocumentStatus.Failed,
        "the document's end");
}
