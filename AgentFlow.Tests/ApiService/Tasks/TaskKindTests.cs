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
        var import = await EndAsync(second, (await CreateAsync(second, "memory-import", export.Result!.Value)).Id);
        Assert.Equal((BackgroundTaskStatus.Succeeded, 2), (import.Status, import.Result?.GetProperty("imported").GetInt32()));
        Assert.Equal(await TextsAsync(first), await TextsAsync(second));

        var erase = await EndAsync(second, (await CreateAsync(second, "erase", new { what = new[] { "memories" } })).Id);
        Assert.Equal(BackgroundTaskStatus.Succeeded, erase.Status);
        Assert.Empty(await TextsAsync(second));
        Assert.Equal(2, (await TextsAsync(first)).Count);
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
