using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.ApiService.Documents;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>
/// Changes of documents of more passages than one step takes. The worker of the steps is stopped, so that the test sees what the request itself does;
/// the next start of the service goes on, as after a crash.
/// </summary>
public sealed class LargeDocumentTests : IAsyncLifetime
{
    private const int Paragraphs = 2 * DocumentFollowUp.PassagesPerStep + 300;

    private ApiHost host = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => host = await ApiHost.StartAsync(new() { ["Documents:ChunkCharacters"] = "100" });

    public ValueTask DisposeAsync() => host.DisposeAsync();

    [Fact]
    public async Task Deleting_is_acknowledged_at_once_and_the_rest_goes_in_steps_also_after_a_crash()
    {
        var client = new DocumentClient(host.Admin);
        var large = await client.IngestAsync("register.md", Register("ferry"));
        var other = await client.IngestAsync("other.txt", "A ferry is told of in this one as well, beside many other things that no register has.");
        Assert.True(large.Chunks > 2 * DocumentFollowUp.PassagesPerStep, $"{large.Chunks} passages");
        await StopWorkerAsync();

        using var deleted = await client.Http.DeleteAsync($"/api/documents/{large.Id}", Ct);
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        Assert.Equal(large.Chunks - DocumentFollowUp.PassagesPerStep, await CountAsync("chunks", "document_id = $1 and deleted_at is null", large.Id));
        using var gone = await client.Http.GetAsync($"/api/documents/{large.Id}", Ct);
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        Assert.Equal(other.Id, Assert.Single(await client.SearchAsync("ferry register")).DocumentId);

        // The same content again is another document, which what is left of the old one does not touch.
        var again = await client.IngestAsync("register.md", Register("ferry"));
        Assert.NotEqual(large.Id, again.Id);
        Assert.Equal((DocumentStatus.Ready, large.Chunks), (again.Status, again.Chunks));

        await host.RestartAsync();
        client = new DocumentClient(new TestUser(host, host.Admin.Tokens));
        await NothingIsLeftAsync();
        Assert.Equal(0, await CountAsync("chunks", "document_id = $1 and (deleted_at is null or text <> '')", large.Id));
        Assert.Equal(0, await CountAsync("document_texts", "document_id = $1", large.Id));
        Assert.Equal((2, 2), (await CountAsync("document_originals", "true or owner_id = $1", large.Id), await CountAsync("document_originals", "exists (select from documents d where d.original_id = document_originals.id) or id = $1", large.Id)));
        Assert.Equal(large.Chunks, await CountAsync("chunks", "document_id = $1 and deleted_at is null", again.Id));
        Assert.Equal(again.Id, (await client.SearchAsync("line 7 of the ferry register"))[0].DocumentId);

        // Embeddings are looked through page by page; those of words that somebody still has stay.
        using var both = await client.Http.DeleteAsync($"/api/documents/{again.Id}", Ct);
        await NothingIsLeftAsync();
        await host.Services.GetRequiredService<DocumentUpkeep>().PurgeAsync(Ct);
        Assert.Equal(1, await CountAsync("chunk_embeddings", "true or owner_id = $1", again.Id));
    }

    [Fact]
    public async Task Replacing_and_filing_a_large_document_go_in_steps()
    {
        var client = new DocumentClient(host.Admin);
        var large = await client.IngestAsync("register.md", Register("ferry"));
        await SettledAsync();
        await StopWorkerAsync();

        using var patched = await client.Http.PatchAsJsonAsync($"/api/documents/{large.Id}", new PatchDocumentRequest { Tags = ["harbour"] }, ContractJson.Options, Ct);
        Assert.Equal(HttpStatusCode.OK, patched.StatusCode);
        Assert.Equal((0, 1), (await CountAsync("chunks", "document_id = $1 and index_version > 1", large.Id), await CountAsync("document_touches", "document_id = $1", large.Id)));
        var steps = host.Services.GetRequiredService<DocumentFollowUp>();
        while (await steps.StepAsync(Ct))
        {
        }

        Assert.Equal((large.Chunks, 0), (await CountAsync("chunks", "document_id = $1 and index_version = 2", large.Id), await CountAsync("document_touches", "document_id = $1", large.Id)));
        await SettledAsync();
        var tagged = new DocumentSearchRequest { Query = "line of the register", TopK = 50, Filter = JsonElement.Parse("""{"tag": "harbour"}""") };
        Assert.Equal(50, (await client.AnswerAsync(tagged)).Items.Count);
        await TheIndexIsBehindAsync(large.Id, "index_version");
        var behind = await client.AnswerAsync(tagged);
        Assert.Equal((50, "Some passages were named, filed or embedded anew just now; they are found, but filters and order may still go by how they were before."), (behind.Items.Count, behind.Degraded?.Single()));
        await TheIndexIsBehindAsync(large.Id, "1");
        Assert.Equal("Some passages of a document that came just now are still being indexed and may be missing.", (await client.AnswerAsync(tagged)).Degraded?.Single());
        await TheIndexIsBehindAsync(large.Id, null);

        using var replaced = await client.Http.PutAsync($"/api/documents/{large.Id}/content", DocumentClient.Form(("register.md", Encoding.UTF8.GetBytes(Register("barge")))), Ct);
        Assert.Equal(HttpStatusCode.Accepted, replaced.StatusCode);
        var ready = await Patience.UntilAsync(() => client.GetAsync(large.Id), document => document.Status is DocumentStatus.Ready or DocumentStatus.Failed, "the new content");
        Assert.Equal((DocumentStatus.Ready, large.Chunks), (ready.Status, ready.Chunks));
        Assert.Equal(large.Chunks, await CountAsync("chunks", "document_id = $1 and document_version = 1 and deleted_at is null", large.Id));
        Assert.All(await client.SearchAsync("line of the ferry register", 50), hit => Assert.Contains("barge", hit.Text, StringComparison.Ordinal));
        Assert.Equal(large.Chunks, (await client.ChunksAsync(large.Id)).Count);

        while (await steps.StepAsync(Ct))
        {
        }

        Assert.Equal((0, large.Chunks, 0), (
            await CountAsync("chunks", "document_id = $1 and document_version = 1 and deleted_at is null", large.Id),
            await CountAsync("chunks", "document_id = $1 and document_version = 2 and deleted_at is null", large.Id),
            await CountAsync("document_texts", "document_id = $1 and version = 1", large.Id)));
        Assert.Equal(1, await CountAsync("document_originals", "true or owner_id = $1", large.Id));
    }

    /// <param name="version">SQL: of the entries that wait for an hour; null: none waits.</param>
    private Task TheIndexIsBehindAsync(DocumentId id, string? version) => host.Services.GetRequiredService<Database>().AsWorker().ExecuteAsync(
        version is null ? "delete from index_outbox where entity_id in (select id from chunks where document_id = $1)" : $"""
            insert into index_outbox (entity_id, owner_id, version, op, not_before) select id, owner_id, {version}, 'upsert', now() + interval '1 hour' from chunks where document_id = $1
            on conflict (entity_id) do update set version = excluded.version
            """,
        [id.Value],
        Ct);

    /// <summary>A passage for each paragraph.</summary>
    private static string Register(string of)
    {
        var text = new StringBuilder();
        for (var i = 0; i < Paragraphs; i++)
            text.Append("Line ").Append(i).Append(" of the ").Append(of).Append(" register, which names a vessel, its master and its cargo.\n\n");
        return text.ToString();
    }

    private Task StopWorkerAsync() => host.Services.GetRequiredService<DocumentFollowUp>().StopAsync(Ct);

    private Task NothingIsLeftAsync() => Patience.UntilAsync(() => CountAsync("document_remains", "true or id = $1", default), count => count == 0, "nothing is left of what was deleted");

    private Task SettledAsync() => Patience.UntilAsync(() => CountAsync("index_outbox", "true or owner_id = $1", default), count => count == 0, "the index has everything");

    private async Task<int> CountAsync(string table, string where, DocumentId id) => await host.Services.GetRequiredService<Database>().AsWorker()
        .QuerySingleAsync($"select count(*)::int from {table} where {where}", [id.Value], row => row.GetInt32(0), Ct);
}
