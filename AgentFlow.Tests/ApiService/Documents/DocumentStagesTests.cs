using System.Net;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>What can be done with a document that no worker has taken yet, and that the worker that comes then heeds it.</summary>
public sealed class DocumentStagesTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_document_that_waits_can_be_replaced_cancelled_deleted_and_tried_again()
    {
        var first = await ApiHost.StartAsync([]);
        var user = await first.RegisterAsync();
        var recipe = await new DocumentClient(user).IngestAsync("recipe.txt", "The soup needs turnips.");
        await first.DisposeAsync();

        var idle = await ApiHost.StartAsync(Settings(first, ("Queue:Enabled", "false")));
        var waiting = new DocumentClient(new TestUser(idle, user.Tokens));
        using var replaced = await waiting.Http.PutAsync($"/api/documents/{recipe.Id}/content", DocumentClient.Form(("recipe.txt", "The soup needs leeks."u8.ToArray())), Ct);
        Assert.Equal(HttpStatusCode.Accepted, replaced.StatusCode);
        Assert.Equal("The soup needs turnips.", Assert.Single(await waiting.SearchAsync("soup")).Text);
        Assert.Equal("The soup needs turnips.", await waiting.TextAsync(recipe.Id));
        var (cancelled, deleted) = ((await waiting.UploadAsync("cancelled.txt", "The ferry leaves at noon.")).Id!.Value, (await waiting.UploadAsync("deleted.txt", "The mill wheel turns.")).Id!.Value);
        var (received, beingReplaced) = (await waiting.GetAsync(cancelled), await waiting.GetAsync(recipe.Id));
        Assert.Equal((DocumentStatus.Received, (int?)0), (received.Status, received.ChunksSoFar));
        Assert.Equal((1, (int?)0, null), (beingReplaced.Chunks, beingReplaced.ChunksSoFar, recipe.ChunksSoFar));
        using var cancel = await waiting.Http.PostAsync($"/api/documents/{cancelled}/cancel", null, Ct);
        using var delete = await waiting.Http.DeleteAsync($"/api/documents/{deleted}", Ct);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.NoContent), (cancel.StatusCode, delete.StatusCode));
        Assert.Equal((DocumentStatus.Failed, "It was cancelled."), Told(await waiting.FinishedAsync(cancelled)));
        await idle.DisposeAsync();

        await using var last = await ApiHost.StartAsync(Settings(first));
        var client = new DocumentClient(new TestUser(last, user.Tokens));
        await client.FinishedAsync(recipe.Id);
        Assert.Equal("The soup needs leeks.", Assert.Single(await client.SearchAsync("soup leeks turnips"), hit => hit.DocumentId == recipe.Id).Text);
        Assert.Equal((DocumentStatus.Failed, "It was cancelled."), Told(await client.GetAsync(cancelled)));
        using var gone = await client.Http.GetAsync($"/api/documents/{deleted}", Ct);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        using var retry = await client.Http.PostAsync($"/api/documents/{cancelled}/retry", null, Ct);
        Assert.True(retry.IsSuccessStatusCode);
        await Patience.UntilAsync(() => client.GetAsync(cancelled), document => document.Status == DocumentStatus.Ready, "the document that was tried again");
        Assert.Equal(cancelled, (await client.SearchAsync("ferry noon"))[0].DocumentId);
        Assert.DoesNotContain(await client.SearchAsync("mill wheel"), hit => hit.DocumentId == deleted);

        async Task<int> CountAsync(string filter) => (await client.AnswerAsync(new DocumentSearchRequest { Query = "ferry soup", Filter = JsonElement.Parse(filter) })).Items.Count;
        Assert.Equal((2, 0, 2), (await CountAsync("""{"date": {"gte": "2026-01-01"}}"""), await CountAsync("""{"date": {"lt": "2026-01-01T00:00:00Z"}}"""), await CountAsync("""{"NOT": {"date": {"lt": "2026-01-01"}}}""")));
    }

    [Fact]
    public async Task While_no_index_answers_documents_become_ready_and_are_found_and_the_answer_says_so()
    {
        await using var host = await ApiHost.StartAsync(new() { ["ConnectionStrings:qdrant_http"] = "Endpoint=http://127.0.0.1:9" });
        var client = new DocumentClient(await host.RegisterAsync());
        var document = await client.IngestAsync("ferry.txt", "The ferry leaves at noon.");
        Assert.Equal((DocumentStatus.Ready, null), Told(document));
        var answer = await client.AnswerAsync(new DocumentSearchRequest { Query = "when does the ferry leave?" });
        Assert.Equal((document.Id, "qdrant"), (Assert.Single(answer.Items).DocumentId, Assert.Single(answer.Degraded!)));
    }

    private static (DocumentStatus Status, string? Reason) Told(DocumentSummary document) => (document.Status, document.FailureReason);

    private static Dictionary<string, string?> Settings(ApiHost of, params (string Key, string Value)[] more) => new(more.Select(each => KeyValuePair.Create(each.Key, (string?)each.Value)), StringComparer.Ordinal)
    {
        ["ConnectionStrings:agentflow-api"] = of.ConnectionString, ["Test:NoAdmin"] = "true",
    };
}
