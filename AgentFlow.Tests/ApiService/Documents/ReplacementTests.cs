using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.ApiService.Documents;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>
/// A document of more passages than are ever read beside the index is replaced while searches go on, through the writing service and through a
/// second one that follows it: each answer is all of the old version or all of the new one.
/// </summary>
public sealed class ReplacementTests(QdrantFixture fixture) : IClassFixture<QdrantFixture>
{
    private const int Paragraphs = 3_300;

    private const int TopK = 10;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_search_at_any_moment_answers_from_the_old_version_or_from_the_new_one(bool inQdrant)
    {
        await using var worker = await ApiHost.StartAsync(Settings(inQdrant));
        await using var reader = await ReaderAsync(worker, inQdrant);
        var (client, second) = (new DocumentClient(worker.Admin), new DocumentClient(new TestUser(reader, worker.Admin.Tokens)));
        var document = await client.IngestAsync("register.md", Register("ferry"));
        Assert.Equal((DocumentStatus.Ready, true), (document.Status, document.Chunks > 3_000));
        await SettledAsync(worker);

        using var stop = new CancellationTokenSource();
        var seen = new ConcurrentQueue<string>();
        var searches = new[] { client, second }.SelectMany(each => new[] { "line of the register", "ferry register", "barge register" }.Select(query => SearchAsync(each, query, seen, stop.Token))).ToArray();
        await ReplaceAsync(client, document.Id, "barge");
        await SettledAsync(worker);
        await ReplaceAsync(client, document.Id, "punt");
        await SettledAsync(worker);
        await stop.CancelAsync();
        await Task.WhenAll(searches);

        Assert.Equal([], seen.Where(answer => answer.StartsWith("wrong", StringComparison.Ordinal)).Distinct());
        Assert.Equal(["barge", "ferry", "punt"], seen.Distinct().Order(StringComparer.Ordinal));
        foreach (var each in new[] { client, second })
            Assert.All((await FindAsync(each, "line of the ferry register")).Items, hit => Assert.Contains("punt", hit.Text, StringComparison.Ordinal));
    }

    [Fact]
    public async Task While_qdrant_is_away_a_replacement_waits_and_the_old_version_answers()
    {
        fixture.SkipWithoutServer();
        await using var proxy = await QdrantProxy.StartAsync(fixture.Server, Ct);
        await using var host = await ApiHost.StartAsync(new() { ["ConnectionStrings:qdrant_http"] = proxy.ConnectionString(TimeSpan.FromSeconds(30)) });
        var client = new DocumentClient(host.Admin);
        var document = await client.IngestAsync("ferry.md", "The ferry leaves at noon.");
        var given = await client.IngestAsync("mill.md", "The mill grinds rye.");
        await SettledAsync(host);
        await Patience.UntilAsync(() => FindAsync(client, "ferry noon"), answer => answer.Degraded is null, "Qdrant's own answer");

        proxy.Answer = context =>
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return Task.CompletedTask;
        };
        await PutAsync(client, document.Id, "ferry.md", "# Timetable\n\nThe barge leaves at dusk.");
        await PutAsync(client, given.Id, "mill.md", "The smithy forges nails.");
        foreach (var each in new[] { document.Id, given.Id })
        {
            await Patience.UntilAsync(
                () => client.GetAsync(each), summary => summary.Status == DocumentStatus.Indexing, "the new version staged");
        }

        await Patience.UntilAsync(() => TaskErrorsAsync(host), count => count == 2, "both tasks wait for the index");
        using var patched = await client.Http.PatchAsJsonAsync($"/api/documents/{document.Id}", new PatchDocumentRequest { Tags = ["river"] }, ContractJson.Options, Ct);
        Assert.Equal(HttpStatusCode.OK, patched.StatusCode);
        using var cancelled = await client.Http.PostAsync($"/api/documents/{given.Id}/cancel", null, Ct);
        Assert.True(cancelled.IsSuccessStatusCode);
        var during = await FindAsync(client, "barge ferry dusk noon mill smithy nails rye");
        Assert.Equal(["The ferry leaves at noon.", "The mill grinds rye."], during.Items.Select(hit => hit.Text).Order(StringComparer.Ordinal));
        Assert.Equal(["qdrant"], during.Degraded);

        // What was cancelled is taken away, also from the index; what it would have replaced stays.
        await Patience.UntilAsync(() => CountAsync(host, "select count(*)::int from documents where staged_version is not null"), count => count == 1, "the cancelled version is given up");
        proxy.Answer = null;
        Assert.Equal(DocumentStatus.Ready, (await Patience.UntilAsync(() => client.GetAsync(document.Id), summary => summary.Status is DocumentStatus.Ready or DocumentStatus.Failed, "the new version")).Status);
        await SettledAsync(host);
        var after = await Patience.UntilAsync(() => FindAsync(client, "barge ferry dusk noon mill smithy nails rye"), answer => answer.Degraded is null, "Qdrant's own answer");
        Assert.Equal(["# Timetable\n\nThe barge leaves at dusk.", "The mill grinds rye."], after.Items.Select(hit => hit.Text.Trim()).Order(StringComparer.Ordinal));
        var tagged = await client.AnswerAsync(new DocumentSearchRequest { Query = "dusk", Filter = JsonElement.Parse("""{"tag": "river"}""") });
        Assert.Equal(document.Id, Assert.Single(tagged.Items).DocumentId);
        Assert.Equal("Timetable", (await client.GetAsync(document.Id)).Title);
        Assert.Equal(0, await CountAsync(host, "select count(*)::int from chunks where deleted_at is null and text like '%smithy%'"));
    }

    [Fact]
    public async Task A_first_version_that_is_found_already_is_ready_when_its_processing_is_stopped()
    {
        fixture.SkipWithoutServer();
        await using var proxy = await QdrantProxy.StartAsync(fixture.Server, Ct);
        await using var host = await ApiHost.StartAsync(new() { ["ConnectionStrings:qdrant_http"] = proxy.ConnectionString(TimeSpan.FromSeconds(30)) });
        var client = new DocumentClient(host.Admin);
        await client.IngestAsync("mill.md", "The mill grinds rye.");
        proxy.Answer = context => Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        var id = (await client.UploadAsync("ferry.md", "The ferry leaves at noon.")).Id!.Value;
        await Patience.UntilAsync(() => client.GetAsync(id), summary => summary.Status == DocumentStatus.Indexing, "the passages are found by their rows");

        using var cancelled = await client.Http.PostAsync($"/api/documents/{id}/cancel", null, Ct);
        Assert.Equal(HttpStatusCode.OK, cancelled.StatusCode);
        var document = await client.GetAsync(id);
        Assert.Equal((DocumentStatus.Ready, null, 1d), (document.Status, document.FailureReason, document.Progress));
        proxy.Answer = null;
        await SettledAsync(host);
        Assert.Equal(id, (await FindAsync(client, "ferry noon")).Items[0].DocumentId);
    }

    [Fact]
    public async Task A_staged_version_goes_on_after_a_restart_and_gives_way_to_a_newer_one()
    {
        await using var host = await ApiHost.StartAsync([]);
        var client = new DocumentClient(host.Admin);
        var document = await client.IngestAsync("ferry.md", "The ferry leaves at noon.");
        Assert.Single((await FindAsync(client, "ferry noon")).Items);

        // As after a death between staging and the swap: everything is stored, and the worker comes back.
        await PutAsync(client, document.Id, "ferry.md", "The barge leaves at dusk.");
        await Patience.UntilAsync(() => client.GetAsync(document.Id), summary => summary.Status == DocumentStatus.Ready, "the second version");
        await SettledAsync(host);
        var sql = host.Services.GetRequiredService<Database>().AsWorker();
        await sql.ExecuteAsync("update documents set version = 3, live_version = 2, status = 'indexing', staged_version = 3, staged_title = 'T', staged_metadata = '{\"author\": \"Ada\"}' where id = $1", [document.Id.Value], Ct);
        await sql.ExecuteAsync(
            """
            insert into chunks (id, owner_id, document_id, document_version, ordinal, start_offset, end_offset, text, content_hash)
            select gen_random_uuid(), owner_id, document_id, 3, 0, 0, 25, 'The punt leaves at dawn.', content_hash from chunks where document_id = $1 and document_version = 2
            """,
            [document.Id.Value],
            Ct);
        await host.StopAsync();
        await host.InitializeAsync();
        client = new DocumentClient(new TestUser(host, host.Admin.Tokens));
        sql = host.Services.GetRequiredService<Database>().AsWorker();

        // The index is loaded with both.
        Assert.Equal(["The barge leaves at dusk."], (await FindAsync(client, "punt barge leaves dawn dusk")).Items.Select(hit => hit.Text));
        await sql.ExecuteAsync(
            "insert into tasks (id, owner_id, kind, input, max_attempts) select gen_random_uuid(), owner_id, 'ingest', jsonb_build_object('documentId', id, 'version', 3), 5 from documents where id = $1", [document.Id.Value], Ct);
        await Patience.UntilAsync(() => client.GetAsync(document.Id), summary => summary.Status == DocumentStatus.Ready, "the third version");
        Assert.Equal(["The punt leaves at dawn."], (await FindAsync(client, "punt barge leaves dawn dusk")).Items.Select(hit => hit.Text));
        Assert.Equal("T", (await client.GetAsync(document.Id)).Title);

        await PutAsync(client, document.Id, "ferry.md", "The raft leaves never.");
        await Patience.UntilAsync(() => client.GetAsync(document.Id), summary => summary.Status == DocumentStatus.Ready, "the fourth version");
        await SettledAsync(host);
        Assert.Equal(["The raft leaves never."], (await FindAsync(client, "punt barge raft leaves")).Items.Select(hit => hit.Text));
        Assert.Equal(1, await CountAsync(host, "select count(*)::int from chunks where deleted_at is null"));
    }

    private static async Task PutAsync(DocumentClient client, DocumentId id, string name, string text)
    {
        using var replaced = await client.Http.PutAsync($"/api/documents/{id}/content", DocumentClient.Form((name, Encoding.UTF8.GetBytes(text))), Ct);
        Assert.Equal(HttpStatusCode.Accepted, replaced.StatusCode);
    }

    private static Task<int> TaskErrorsAsync(ApiHost host) =>
        CountAsync(host, "select count(*)::int from tasks where kind = 'ingest' and attempts = 0 and error = 'The index can not be reached; the old version answers until it can.'");

    private static Dictionary<string, string?> With(Dictionary<string, string?> settings, params (string Key, string Value)[] more)
    {
        foreach (var (key, value) in more)
            settings[key] = value;
        return settings;
    }

    private Dictionary<string, string?> Settings(bool inQdrant)
    {
        var settings = new Dictionary<string, string?> { ["Documents:ChunkCharacters"] = "100" };
        if (!inQdrant)
            return settings;
        fixture.SkipWithoutServer();
        return With(settings, ("ConnectionStrings:qdrant_http", $"{fixture.Server.ConnectionString};Timeout=00:00:30"));
    }

    private Task<ApiHost> ReaderAsync(ApiHost worker, bool inQdrant) => ApiHost.StartAsync(With(
        Settings(inQdrant), ("ConnectionStrings:agentflow-api", worker.ConnectionString), ("Test:NoAdmin", "true"), ("Queue:Enabled", "false"), ("Outbox:Enabled", "false")));

    private static async Task ReplaceAsync(DocumentClient client, DocumentId id, string with)
    {
        using var replaced = await client.Http.PutAsync($"/api/documents/{id}/content", DocumentClient.Form(("register.md", Encoding.UTF8.GetBytes(Register(with)))), Ct);
        Assert.Equal(HttpStatusCode.Accepted, replaced.StatusCode);
        var ready = await client.FinishedAsync(id);
        Assert.Equal((DocumentStatus.Ready, null), (ready.Status, ready.FailureReason));
        await Patience.UntilAsync(() => FindAsync(client, "line of the register"), answer => Version(answer) == with, "the new version");
    }

    private static async Task SearchAsync(DocumentClient client, string query, ConcurrentQueue<string> seen, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
            seen.Enqueue(Version(await FindAsync(client, query)));
    }

    private static Task<DocumentSearchResponse> FindAsync(DocumentClient client, string query) => client.AnswerAsync(new DocumentSearchRequest { Query = query, TopK = TopK });

    /// <summary>Which version all the passages are of; else what is wrong.</summary>
    private static string Version(DocumentSearchResponse answer)
    {
        var versions = answer.Items.Select(hit => new[] { "ferry", "barge", "punt" }.Single(of => hit.Text.Contains(of, StringComparison.Ordinal))).Distinct().ToList();
        return answer.Items.Count == TopK && versions.Count == 1 && answer.Degraded is null
            ? versions[0]
            : $"wrong: {answer.Items.Count} of {string.Join(" and ", versions)}, {string.Join(' ', answer.Degraded ?? [])}";
    }

    /// <summary>A passage for each paragraph.</summary>
    private static string Register(string of)
    {
        var text = new StringBuilder();
        for (var i = 0; i < Paragraphs; i++)
            text.Append("Line ").Append(i).Append(" of the ").Append(of).Append(" register, which names a vessel, its master and its cargo.\n\n");
        return text.ToString();
    }

    private static async Task SettledAsync(ApiHost host) => await Patience.UntilAsync(
        () => CountAsync(host, "select (select count(*) from index_outbox)::int + (select count(*) from document_remains)::int"), count => count == 0, "the index has everything");

    private static async Task<int> CountAsync(ApiHost host, string sql) =>
        await host.Services.GetRequiredService<Database>().AsWorker().QuerySingleAsync(sql, [], row => row.GetInt32(0), Ct);
}
