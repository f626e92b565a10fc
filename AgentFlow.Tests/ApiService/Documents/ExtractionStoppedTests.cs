using System.Net;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Contracts.Tasks;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>
/// A document that is stopped or deleted while its parser is at work. The parser is held: its first words wait for an embedding that is not
/// answered, so it can not write more than a pipe takes.
/// </summary>
public sealed class ExtractionStoppedTests
{
    /// <summary>Passed to the parser, so that it is told from those of other tests.</summary>
    private const string Mark = "48270931";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Cancelled_or_deleted_in_the_middle_of_reading_it_leaves_nothing_and_can_be_tried_again()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        await using var host = await ApiHost.StartAsync(new()
        {
            ["Documents:MaxTextCharacters"] = Mark, ["Embedding:Endpoint"] = provider.Endpoint.ToString(), ["Embedding:Model"] = "held-8", ["Embedding:Dimensions"] = "8",
            ["Embedding:ApiKey"] = "test", ["Embedding:Timeout"] = "00:05:00",
        });
        var client = new DocumentClient(host.Admin);
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        provider.HoldEmbeddings = held.Task;

        var table = await ReadingAsync(client, "table.csv");
        using var cancel = await client.Http.PostAsync($"/api/documents/{table.Id}/cancel", null, Ct);
        Assert.Equal(HttpStatusCode.OK, cancel.StatusCode);
        await NothingIsLeftAsync(host, client, table);
        var cancelled = await client.GetAsync(table.Id!.Value);
        Assert.Equal((DocumentStatus.Failed, "It was cancelled."), (cancelled.Status, cancelled.FailureReason));

        var other = await ReadingAsync(client, "other.csv");
        using var delete = await client.Http.DeleteAsync($"/api/documents/{other.Id}", Ct);
        Assert.Equal(HttpStatusCode.NoContent, delete.StatusCode);
        await NothingIsLeftAsync(host, client, other);
        Assert.Equal(0, await CountAsync(host, "select count(*) from document_originals o where not exists (select from documents d where d.original_id = o.id)"));

        held.SetResult();
        using var retry = await client.Http.PostAsync($"/api/documents/{table.Id}/retry", null, Ct);
        Assert.Equal(HttpStatusCode.Accepted, retry.StatusCode);
        var ready = await Patience.UntilAsync(() => client.GetAsync(table.Id!.Value), document => document.Status is DocumentStatus.Ready or DocumentStatus.Failed, "the table that was tried again");
        Assert.Equal((DocumentStatus.Ready, (long)ready.Chunks), (ready.Status, await CountAsync(host, "select count(*) from chunks")));
    }

    /// <summary>Uploads more than a pipe and a window hold, and waits until the parser of it is at work and waits for us.</summary>
    private static async Task<UploadedDocument> ReadingAsync(DocumentClient client, string name)
    {
        var rows = new StringBuilder("name,about\n");
        for (var i = 0; i < 20_000; i++)
            rows.Append(name).Append(' ').Append(i).Append(",row that says nothing but that it is one of very many rows\n");
        var uploaded = await client.UploadAsync(name, rows.ToString());
        await Patience.UntilAsync(() => Task.FromResult(Parsers()), parsers => parsers == 1, "the parser is at work");
        await Patience.UntilAsync(() => client.GetAsync(uploaded.Id!.Value), document => document.Status is DocumentStatus.Chunking, "the first window is there");
        Assert.Equal(1, Parsers());
        return uploaded;
    }

    private static async Task NothingIsLeftAsync(ApiHost host, DocumentClient client, UploadedDocument document)
    {
        await Patience.UntilAsync(
            async () => (await System.Net.Http.Json.HttpClientJsonExtensions.GetFromJsonAsync<BackgroundTask>(client.Http, $"/api/tasks/{document.TaskId}", ContractJson.Options, Ct))!.Status,
            status => status == BackgroundTaskStatus.Cancelled,
            "the task is cancelled");
        await Patience.UntilAsync(() => Task.FromResult(Parsers()), parsers => parsers == 0, "the parser is gone");
        Assert.Equal(0, await CountAsync(host, "select (select count(*) from chunks) + (select count(*) from index_outbox) + (select count(*) from document_texts)"));
    }

    private static Task<long> CountAsync(ApiHost host, string sql) =>
        host.Services.GetRequiredService<Database>().AsWorker().QuerySingleAsync(sql, [], row => row.GetInt64(0), Ct);

    private static int Parsers() => Directory.EnumerateDirectories("/proc").Count(process =>
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "cmdline")).Split('\0').Contains(Mark);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    });
}
