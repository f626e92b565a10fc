using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.Contracts.Tasks;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.ApiService.Documents;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Tasks;

/// <summary>Every kind that <c>POST /api/tasks</c> takes, to its end, with a real memory service; and what becomes of tasks afterwards.</summary>
public sealed class TaskKindTests(TaskKindTests.Services services) : IClassFixture<TaskKindTests.Services>
{
    private readonly ApiHost host = services.Api;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Run_answers_in_the_background_and_its_conversation_can_be_read()
    {
        var user = await host.RegisterAsync();
        await new DocumentClient(user).IngestAsync("tank.txt", "The reserve tank holds ninety litres of diesel.");

        var task = await EndAsync(user, (await CreateAsync(user, "run", new { message = "How much does the reserve tank hold?" })).Id);

        Assert.Equal((BackgroundTaskStatus.Succeeded, null), (task.Status, task.Error));
        Assert.Contains("ninety litres", task.Result!.Value.GetProperty("answer").GetString(), StringComparison.Ordinal);
        var history = await user.Client.GetFromJsonAsync<JsonElement>($"/api/chat/{task.Result.Value.GetProperty("conversationId").GetString()}/history", Ct);
        Assert.Equal(["user", "assistant"], history.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("role").GetString()));
    }

    [Fact]
    public async Task Memories_are_exported_imported_into_another_account_and_erased()
    {
        var (first, second) = (await host.RegisterAsync(), await host.RegisterAsync());
        foreach (var text in (string[])["The boiler was serviced in May.", "The attic key hangs in the pantry."])
        {
            using var added = await first.Client.PostAsJsonAsync("/api/memories", new { text, infer = false }, Ct);
            added.EnsureSuccessStatusCode();
        }

        var export = await EndAsync(first, (await CreateAsync(first, "memory-export", new { })).Id);
        Assert.Equal((BackgroundTaskStatus.Succeeded, null), (export.Status, export.Error));
        var file = await first.Client.GetStringAsync(export.Result!.Value.GetProperty("file").GetString(), Ct);
        var import = await EndAsync(second, (await CreateAsync(second, "memory-import", JsonElement.Parse(file))).Id);
        Assert.Equal((BackgroundTaskStatus.Succeeded, 2), (import.Status, import.Result?.GetProperty("imported").GetInt32()));
        Assert.Equal(await TextsAsync(first), await TextsAsync(second));

        var erase = await EndAsync(second, (await CreateAsync(second, "erase", new { what = new[] { "memories" } })).Id);
        Assert.Equal(BackgroundTaskStatus.Succeeded, erase.Status);
        Assert.Empty(await TextsAsync(second));
        using var imported = await second.Client.GetAsync($"/api/tasks/{import.Id}", Ct);
        Assert.Equal(HttpStatusCode.NotFound, imported.StatusCode);
        Assert.Equal(2, (await TextsAsync(first)).Count);
    }

    [Fact]
    public async Task More_memories_than_a_row_holds_leave_and_come_back_with_their_past()
    {
        var (first, second) = (await host.RegisterAsync(), await host.RegisterAsync());
        using var added = await first.Client.PostAsJsonAsync("/api/memories", new { text = "The boiler was serviced in May.", infer = false }, Ct);
        var id = (await added.Content.ReadFromJsonAsync<AddMemoryResponse>(ContractJson.Options, Ct))!.Items.Single().Id;
        (await first.Client.PatchAsJsonAsync($"/api/memories/{id}", new { text = "The boiler was serviced in June." }, Ct)).EnsureSuccessStatusCode();
        var many = JsonSerializer.Serialize(Enumerable.Range(0, 10_500).Select(i => new { memory = $"note number {i}", user_id = "somebody" }));
        using var taken = await first.Client.PostAsync("/api/memories/import", new StringContent(many, System.Text.Encoding.UTF8, "application/json"), Ct);
        Assert.Equal(10_500, (await taken.Content.ReadFromJsonAsync<ImportReport>(ContractJson.Options, Ct))!.Imported);

        var export = await EndAsync(first, (await CreateAsync(first, "memory-export", new { })).Id);
        Assert.Equal((BackgroundTaskStatus.Succeeded, null), (export.Status, export.Error));
        var path = export.Result!.Value.GetProperty("file").GetString();
        using var file = await first.Client.GetAsync(path, Ct);
        var text = await file.Content.ReadAsStringAsync(Ct);
        Assert.Equal(export.Result.Value.GetProperty("bytes").GetInt64(), file.Content.Headers.ContentLength);
        using var direct = await first.Client.PostAsync("/api/memories/export", null, Ct);
        Assert.Equal(Memories(await direct.Content.ReadAsStringAsync(Ct)), Memories(text));
        var boiler = JsonSerializer.Deserialize<MemoryExport>(text, ContractJson.Options)!.Memories.Single(one => one.Memory.Id == id);
        Assert.Equal(("The boiler was serviced in May.", 2), (boiler.Versions.Single().Text, boiler.History.Count));
        using var stranger = await second.Client.GetAsync(path, Ct);
        Assert.Equal(HttpStatusCode.NotFound, stranger.StatusCode);

        using var moved = await second.Client.PostAsync("/api/memories/import", new StringContent(text, System.Text.Encoding.UTF8, "application/json"), Ct);
        Assert.Equal(new ImportReport(10_501, 0, 10_501), await moved.Content.ReadFromJsonAsync<ImportReport>(ContractJson.Options, Ct));
        using var again = await second.Client.PostAsync("/api/memories/import", new StringContent(text, System.Text.Encoding.UTF8, "application/json"), Ct);
        Assert.Equal(new ImportReport(0, 10_501, 0), await again.Content.ReadFromJsonAsync<ImportReport>(ContractJson.Options, Ct));

        static List<string> Memories(string exported) => [.. JsonElement.Parse(exported).GetProperty("memories").EnumerateArray().Select(one => one.GetRawText())];
    }

    [Theory]
    [InlineData("""[{"memory":"The boiler is old."},null]""", "invalid_import")]
    [InlineData("""{"memories":[{"memory":"The boiler is old."}""", "invalid_json")]
    public async Task An_import_that_can_not_be_taken_is_refused_as_the_memory_service_refuses_it(string body, string code)
    {
        var user = await host.RegisterAsync();
        using var refused = await user.Client.PostAsync("/api/memories/import", new StringContent(body, System.Text.Encoding.UTF8, "application/json"), Ct);
        var problem = JsonElement.Parse(await refused.Content.ReadAsStringAsync(Ct));
        Assert.Equal((HttpStatusCode.BadRequest, code), (refused.StatusCode, problem.GetProperty("code").GetString()));
        Assert.Empty(await TextsAsync(user));
    }

    [Fact]
    public async Task Only_the_claim_that_ended_a_task_made_its_file()
    {
        var user = await host.RegisterAsync();
        using var added = await user.Client.PostAsJsonAsync("/api/memories", new { text = "The boiler was serviced in May.", infer = false }, Ct);
        var export = await EndAsync(user, (await CreateAsync(user, "memory-export", new { })).Id);
        var path = export.Result!.Value.GetProperty("file").GetString();
        var file = await user.Client.GetStringAsync(path, Ct);

        // What a worker left that was taken for dead, before and after the one that ended it.
        await host.Services.GetRequiredService<Database>().AsWorker().ExecuteAsync(
            "insert into task_files (task_id, fence, part, owner_id, bytes) select id, fence + d, 0, owner_id, 'x' from tasks, unnest(array[-1, 1]) d where id = $1", [export.Id.Value], Ct);

        Assert.Equal(file, await user.Client.GetStringAsync(path, Ct));
        var plain = await EndAsync(user, (await CreateAsync(user, "reembed", new { })).Id);
        using var none = await user.Client.GetAsync($"/api/tasks/{plain.Id}/file", Ct);
        Assert.Equal(HttpStatusCode.NotFound, none.StatusCode);

        // It holds memories, and goes when they are erased.
        (await user.Client.PostAsync("/api/memories/erase", null, Ct)).EnsureSuccessStatusCode();
        using var erased = await user.Client.GetAsync(path, Ct);
        Assert.Equal(HttpStatusCode.NotFound, erased.StatusCode);
        Assert.Equal(0, await host.Services.GetRequiredService<Database>().AsWorker().QuerySingleAsync(
            "select count(*)::int from task_files where task_id = $1", [export.Id.Value], reader => reader.GetInt32(0), Ct));
    }

    [Fact]
    public async Task Texts_are_imported_together_and_one_that_can_not_be_kept_says_which()
    {
        var user = await host.RegisterAsync();
        var items = Enumerable.Range(0, 450).Select(i => new { text = $"fact {i}" }).ToList();
        var import = await EndAsync(user, (await CreateAsync(user, "memory-import", new { items })).Id);
        Assert.Equal((BackgroundTaskStatus.Succeeded, 450), (import.Status, import.Result?.GetProperty("imported").GetInt32()));
        Assert.Equal(200, (await user.Client.GetFromJsonAsync<Page<MemoryItem>>("/api/memories?limit=200", ContractJson.Options, Ct))!.Items.Count);

        var refused = await EndAsync(user, (await CreateAsync(user, "memory-import", new { items = new object[] { new { text = "fine" }, new { text = "odd", metadata = 7 } } })).Id);
        Assert.Equal((BackgroundTaskStatus.Failed, "Memory 2 of 2 can not be kept: metadata is a JSON object."), (refused.Status, refused.Error));
        var wrong = await EndAsync(user, (await CreateAsync(user, "memory-import", new { format = "other", memories = Array.Empty<int>() })).Id);
        Assert.Equal((BackgroundTaskStatus.Failed, "format is agentflow-memories-1."), (wrong.Status, wrong.Error));
    }

    [Fact]
    public async Task Reembedding_brings_back_what_lacks_a_vector()
    {
        var user = await host.RegisterAsync();
        var client = new DocumentClient(user);
        await client.IngestAsync("a.txt", "The harbour master counts the herring boats.");
        await host.Services.GetRequiredService<Database>().ForOwner(user.Id.Value).ExecuteAsync("delete from chunk_embeddings where owner_id = $1", [user.Id.Value], Ct);

        var task = await EndAsync(user, (await CreateAsync(user, "reembed", new { })).Id);

        Assert.Equal((BackgroundTaskStatus.Succeeded, 1), (task.Status, task.Result?.GetProperty("passages").GetInt32()));
        Assert.Equal(0, (await EndAsync(user, (await CreateAsync(user, "reembed", new { })).Id)).Result!.Value.GetProperty("passages").GetInt32());
        Assert.Single(await client.SearchAsync("herring boats"));
    }

    [Fact]
    public async Task Dead_task_says_why_is_listed_and_can_be_put_back()
    {
        await using var alone = await ApiHost.StartAsync(new() { ["Queue:RetryDelay"] = "00:00:00.001" });
        var user = alone.Admin;

        var dead = await EndAsync(user, (await CreateAsync(user, "memory-export", new { })).Id);
        Assert.Equal((BackgroundTaskStatus.Dead, 5), (dead.Status, dead.Attempts));
        Assert.Equal("A service that it needs could not be reached. It was given up after attempt 5 of 5.", dead.Error);
        Assert.Equal([dead.Id], (await user.Client.GetFromJsonAsync<Page<BackgroundTask>>("/api/tasks?status=dead", ContractJson.Options, Ct))!.Items.Select(task => task.Id));

        using var replay = await user.Client.PostAsync($"/api/tasks/{dead.Id}/replay", null, Ct);
        Assert.Equal(HttpStatusCode.OK, replay.StatusCode);
        var again = await EndAsync(user, dead.Id);
        Assert.Equal((BackgroundTaskStatus.Dead, 5), (again.Status, again.Attempts));
        Assert.True(again.EndedAt > dead.EndedAt);
    }

    [Fact]
    public async Task Running_task_is_cancelled_and_its_stream_of_events_ends_with_that()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        provider.Respond = _ => Script.SayThenStall("One moment");
        await using var stalled = await ApiHost.StartAsync(new() { ["OPENAI_BASE_URL"] = provider.Endpoint.ToString(), ["OPENAI_API_KEY"] = "test", ["OPENAI_MODEL"] = "scripted" });
        var user = stalled.Admin;
        var task = await CreateAsync(user, "run", new { message = "Say something." });
        using var events = await user.Client.GetAsync($"/api/tasks/{task.Id}/events", HttpCompletionOption.ResponseHeadersRead, Ct);
        await provider.WaitForRequestAsync(Ct);

        using var cancel = await user.Client.PostAsync($"/api/tasks/{task.Id}/cancel", null, Ct);
        Assert.Equal(HttpStatusCode.OK, cancel.StatusCode);

        var stream = await events.Content.ReadAsStringAsync(Ct);
        var last = stream.Split('\n').Last(line => line.StartsWith("data: ", StringComparison.Ordinal))["data: ".Length..];
        Assert.Equal(BackgroundTaskStatus.Cancelled, JsonSerializer.Deserialize<BackgroundTask>(last, ContractJson.Options)!.Status);
        await provider.WaitForAbortAsync(Ct);
    }

    [Fact]
    public async Task Ended_tasks_are_kept_for_the_time_that_is_set()
    {
        await using var brief = await ApiHost.StartAsync(new() { ["Queue:KeepEnded"] = "00:05:00", ["Queue:Lease"] = "00:00:01" });
        var user = brief.Admin;
        var (old, young) = (await EndAsync(user, (await CreateAsync(user, "reembed", new { })).Id), await EndAsync(user, (await CreateAsync(user, "reembed", new { })).Id));
        await brief.Services.GetRequiredService<Database>().AsWorker().ExecuteAsync("update tasks set ended_at = now() - interval '6 minutes' where id = $1", [old.Id.Value], Ct);

        await Patience.UntilAsync(
            async () =>
            {
                using var response = await user.Client.GetAsync($"/api/tasks/{old.Id}", Ct);
                return response.StatusCode == HttpStatusCode.NotFound;
            },
            "the end of the old task's time");

        using var kept = await user.Client.GetAsync($"/api/tasks/{young.Id}", Ct);
        Assert.Equal(HttpStatusCode.OK, kept.StatusCode);
    }

    [Fact]
    public async Task Worker_in_a_replica_of_its_own_does_what_a_service_without_workers_was_asked_for()
    {
        await using var front = await ApiHost.StartAsync(new() { ["Queue:Enabled"] = "false" });
        var client = new DocumentClient(front.Admin);
        var upload = await client.UploadAsync("a.txt", "The worker lives next door.");
        Assert.Equal(BackgroundTaskStatus.Queued, (await front.Admin.Client.GetFromJsonAsync<BackgroundTask>($"/api/tasks/{upload.TaskId}", ContractJson.Options, Ct))!.Status);

        await using var worker = await ApiHost.StartAsync(new() { ["ConnectionStrings:agentflow-api"] = front.ConnectionString, ["Test:NoAdmin"] = "true" });

        Assert.Equal(BackgroundTaskStatus.Succeeded, (await EndAsync(front.Admin, upload.TaskId!.Value)).Status);
        Assert.Single(await client.SearchAsync("worker next door"));
    }

    private static async Task<IReadOnlyList<string>> TextsAsync(TestUser user) =>
        [.. (await user.Client.GetFromJsonAsync<Page<MemoryItem>>("/api/memories", ContractJson.Options, Ct))!.Items.Select(memory => memory.Text).Order(StringComparer.Ordinal)];

    private static async Task<BackgroundTask> CreateAsync(TestUser user, string kind, object input)
    {
        using var response = await user.Client.PostAsJsonAsync("/api/tasks", new { kind, input }, ContractJson.Options, Ct);
        Assert.True(response.StatusCode == HttpStatusCode.Accepted, await response.Content.ReadAsStringAsync(Ct));
        return (await response.Content.ReadFromJsonAsync<BackgroundTask>(ContractJson.Options, Ct))!;
    }

    private static Task<BackgroundTask> EndAsync(TestUser user, TaskId id) => Patience.UntilAsync(
        async () => (await user.Client.GetFromJsonAsync<BackgroundTask>($"/api/tasks/{id}", ContractJson.Options, Ct))!, task => task.EndedAt is not null, "the task's end");

    /// <summary>The API with a memory service behind it.</summary>
    public sealed class Services : IAsyncLifetime
    {
        internal ApiHost Api { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Api = await ApiHost.StartAsync(new() { ["Test:Memory"] = "true", ["Models:Extractive:WordsPerSecond"] = "0" });

        public ValueTask DisposeAsync() => Api.DisposeAsync();
    }
}
