using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.Contracts.Tasks;
using AgentFlow.Tests.ApiService.Documents;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Tasks;

public sealed class TaskEndpointsTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Upload_shows_as_a_task_and_its_events_end_with_its_result()
    {
        var user = await host.RegisterAsync();
        var client = new DocumentClient(user);
        var upload = await client.UploadAsync("a.txt", "Some words to be indexed.");

        using var response = await user.Client.GetAsync($"/api/tasks/{upload.TaskId}/events", HttpCompletionOption.ResponseHeadersRead, Ct);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        var stream = await response.Content.ReadAsStringAsync(Ct);

        var last = stream.Split('\n').Last(line => line.StartsWith("data: ", StringComparison.Ordinal))["data: ".Length..];
        var task = JsonSerializer.Deserialize<BackgroundTask>(last, ContractJson.Options)!;
        Assert.Equal(("ingest", BackgroundTaskStatus.Succeeded, 1d, 1), (task.Kind, task.Status, task.Progress, task.Attempts));
        Assert.Equal(task.Id, Assert.Single((await ListAsync(user)).Items).Id);
        Assert.Equal(DocumentStatus.Ready, (await client.GetAsync(upload.Id!.Value)).Status);
    }

    [Fact]
    public async Task Events_go_on_after_the_last_one_that_was_seen()
    {
        var user = await host.RegisterAsync();
        var task = await CreateAsync(user, "questions", new { questions = new[] { "Who is there?" } });
        await EndAsync(user, task.Id);
        var ids = (await EventsAfterAsync(null)).Body.Split('\n').Where(line => line.StartsWith("id: ", StringComparison.Ordinal)).Select(line => line[4..]).ToList();

        Assert.Equal(HttpStatusCode.OK, (await EventsAfterAsync("an older one")).Status);
        Assert.Equal((HttpStatusCode.NoContent, string.Empty), await EventsAfterAsync(Assert.Single(ids)));

        async Task<(HttpStatusCode Status, string Body)> EventsAfterAsync(string? seen)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"/api/tasks/{task.Id}/events");
            request.Headers.TryAddWithoutValidation("Last-Event-ID", seen);
            using var response = await user.Client.SendAsync(request, Ct);
            return (response.StatusCode, await response.Content.ReadAsStringAsync(Ct));
        }
    }

    [Theory]
    [InlineData("questions", """{"questions":["Who is there?"]}""", "chat")]
    [InlineData("reembed", "{}", "documents")]
    [InlineData("memory-export", "{}", "memory")]
    [InlineData("memory-import", """{"items":[{"text":"I like tea."}]}""", "memory")]
    [InlineData("erase", """{"what":["documents"]}""", "documents")]
    [InlineData("erase", """{"what":["memories"]}""", "memory")]
    public async Task A_key_needs_the_scope_of_what_a_task_works_on(string kind, string input, string scope)
    {
        await using var idle = await ApiHost.StartAsync(new() { ["Queue:Enabled"] = "false" });
        foreach (var other in (string[])["documents", "memory"])
        {
            using var client = await idle.Admin.KeyClientAsync("chat", other);
            using var asked = await client.PostAsJsonAsync("/api/tasks", new { kind, input = JsonElement.Parse(input) }, Ct);
            Assert.Equal(scope == "chat" || scope == other ? HttpStatusCode.Accepted : HttpStatusCode.Forbidden, asked.StatusCode);
        }

        using var writer = await idle.Admin.KeyClientAsync("write");
        using var created = await writer.PostAsJsonAsync("/api/tasks", new { kind, input = JsonElement.Parse(input) }, Ct);
        var task = (await created.Content.ReadFromJsonAsync<BackgroundTask>(ContractJson.Options, Ct))!;
        using var chat = await idle.Admin.KeyClientAsync("chat");
        using var cancelled = await chat.PostAsync($"/api/tasks/{task.Id}/cancel", null, Ct);
        using var replayed = await chat.PostAsync($"/api/tasks/{task.Id}/replay", null, Ct);
        using var file = await chat.GetAsync($"/api/tasks/{task.Id}/file", Ct);
        Assert.Equal(scope == "chat" ? HttpStatusCode.OK : HttpStatusCode.Forbidden, replayed.StatusCode);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Forbidden), (cancelled.StatusCode, file.StatusCode));
    }

    [Fact]
    public async Task A_task_has_the_priority_that_was_asked_for()
    {
        await using var idle = await ApiHost.StartAsync(new() { ["Queue:Enabled"] = "false" });
        foreach (var priority in (int[])[0, -10, 10])
        {
            using var created = await idle.Admin.Client.PostAsJsonAsync("/api/tasks", new { kind = "reembed", input = new { }, priority }, Ct);
            Assert.Equal(HttpStatusCode.Accepted, created.StatusCode);
            Assert.Equal(priority, (await created.Content.ReadFromJsonAsync<BackgroundTask>(ContractJson.Options, Ct))!.Priority);
        }

        using var refused = await idle.Admin.Client.PostAsJsonAsync("/api/tasks", new { kind = "reembed", input = new { }, priority = 11 }, Ct);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("priority is -10 to 10.", await refused.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Document_is_ingested_again_on_request()
    {
        var user = await host.RegisterAsync();
        var client = new DocumentClient(user);
        var document = await client.IngestAsync("b.txt", "Once more, with feeling.");

        var task = await CreateAsync(user, "ingest", new { documentId = document.Id });

        Assert.Equal(BackgroundTaskStatus.Succeeded, (await EndAsync(user, task.Id)).Status);
        Assert.Equal(DocumentStatus.Ready, (await client.FinishedAsync(document.Id)).Status);
        Assert.Single(await client.SearchAsync("feeling once more"));
    }

    [Fact]
    public async Task Batch_of_questions_is_answered_in_order_from_the_documents()
    {
        var user = await host.RegisterAsync();
        await new DocumentClient(user).IngestAsync("peaks.txt", "Mount Everest is 8849 metres high. It stands between Nepal and China.\n\nThe river Amazon carries more water than any other river.");

        var task = await EndAsync(user, (await CreateAsync(user, "questions", new { questions = new[] { "How high is Mount Everest?", "Which river carries the most water?" } })).Id);

        Assert.Equal((BackgroundTaskStatus.Succeeded, null), (task.Status, task.Error));
        var answers = task.Result!.Value.GetProperty("answers").EnumerateArray().Select(answer => answer.GetProperty("answer").GetString()).ToArray();
        Assert.Contains("8849", answers[0], StringComparison.Ordinal);
        Assert.Contains("Amazon", answers[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Erasing_takes_every_document()
    {
        var user = await host.RegisterAsync();
        var client = new DocumentClient(user);
        await client.IngestAsync("c.txt", "The first of the erased.");
        await client.IngestAsync("d.txt", "The second of the erased.");

        var task = await EndAsync(user, (await CreateAsync(user, "erase", new { what = new[] { "documents" } })).Id);

        Assert.Equal(2, task.Result!.Value.GetProperty("documents").GetInt32());
        Assert.Empty(await client.SearchAsync("erased"));
    }

    [Theory]
    [InlineData("""{"kind": "mine bitcoin", "input": {}}""")]
    [InlineData("""{"kind": "run", "input": {"message": ""}}""")]
    [InlineData("""{"kind": "run", "input": {"question": "x"}}""")]
    [InlineData("""{"kind": "questions", "input": {"questions": []}}""")]
    [InlineData("""{"kind": "erase", "input": {"what": ["everything"]}}""")]
    [InlineData("""{"kind": "reembed", "input": {"model": "x"}}""")]
    [InlineData("""{"kind": "reembed"}""")]
    [InlineData("""{"kind": "memory-import", "input": {"items": [null]}}""")]
    public async Task Wrong_tasks_are_refused(string body)
    {
        var user = await host.RegisterAsync();

        using var response = await user.Client.PostAsync("/api/tasks", new StringContent(body, Encoding.UTF8, "application/json"), Ct);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Empty((await ListAsync(user)).Items);
    }

    [Theory]
    [InlineData("""{"kind": "run", "input": {}}""", "input", "input lacks what it needs: message.")]
    [InlineData("""{"kind": "run", "input": {"message": "x", "bogus": 1}}""", "input.bogus", "input.bogus is not a member that this kind of task knows.")]
    [InlineData("""{"kind": "run", "input": {"message": 5}}""", "input.message", "input.message is not what this kind of task takes.")]
    public async Task A_refusal_names_what_is_wrong_with_the_input(string body, string place, string reason)
    {
        using var response = await host.Admin.Client.PostAsync("/api/tasks", new StringContent(body, Encoding.UTF8, "application/json"), Ct);

        var problem = JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct));
        Assert.Equal((HttpStatusCode.BadRequest, reason), (response.StatusCode, problem.GetProperty("errors").GetProperty(place)[0].GetString()));
    }

    [Fact]
    public async Task A_model_that_nobody_offers_is_said_at_once()
    {
        var user = await host.RegisterAsync();
        var task = await EndAsync(user, (await CreateAsync(user, "run", new { message = "Who is there?", model = "no-such-model" })).Id);
        Assert.Equal(
            (BackgroundTaskStatus.Failed, 1, "No configured provider offers the model 'no-such-model'."), (task.Status, task.Attempts, task.Error));
    }

    [Fact]
    public async Task Unknown_and_foreign_tasks_are_404()
    {
        var owner = await host.RegisterAsync();
        var upload = await new DocumentClient(owner).UploadAsync("e.txt", "Mine alone.");
        var other = await host.RegisterAsync();

        foreach (var id in (string[])[upload.TaskId!.Value.ToString(), Guid.NewGuid().ToString(), "no-id"])
        {
            using var get = await other.Client.GetAsync($"/api/tasks/{id}", Ct);
            using var events = await other.Client.GetAsync($"/api/tasks/{id}/events", Ct);
            using var cancel = await other.Client.PostAsync($"/api/tasks/{id}/cancel", null, Ct);
            using var replay = await other.Client.PostAsync($"/api/tasks/{id}/replay", null, Ct);
            Assert.Equal(
                [HttpStatusCode.NotFound, HttpStatusCode.NotFound, HttpStatusCode.NotFound, HttpStatusCode.NotFound],
                [get.StatusCode, events.StatusCode, cancel.StatusCode, replay.StatusCode]);
        }

        using var ingest = await other.Client.PostAsJsonAsync("/api/tasks", new { kind = "ingest", input = new { documentId = upload.Id } }, Ct);
        Assert.Equal(HttpStatusCode.NotFound, ingest.StatusCode);
    }

    [Fact]
    public async Task A_cancelled_task_can_be_put_back()
    {
        await using var idle = await ApiHost.StartAsync(new() { ["Queue:Enabled"] = "false" });
        using var created = await idle.Admin.Client.PostAsJsonAsync(
            "/api/tasks", new CreateTaskRequest("questions", JsonElement.Parse("""{"questions":["Who is there?"]}""")), ContractJson.Options, TestContext.Current.CancellationToken);
        var task = (await created.Content.ReadFromJsonAsync<BackgroundTask>(ContractJson.Options, TestContext.Current.CancellationToken))!;
        using var cancelled = await idle.Admin.Client.PostAsync($"/api/tasks/{task.Id}/cancel", null, TestContext.Current.CancellationToken);
        using var replayed = await idle.Admin.Client.PostAsync($"/api/tasks/{task.Id}/replay", null, TestContext.Current.CancellationToken);

        var before = await cancelled.Content.ReadFromJsonAsync<BackgroundTask>(ContractJson.Options, TestContext.Current.CancellationToken);
        var after = await replayed.Content.ReadFromJsonAsync<BackgroundTask>(ContractJson.Options, TestContext.Current.CancellationToken);
        Assert.Equal((BackgroundTaskStatus.Cancelled, BackgroundTaskStatus.Queued), (before!.Status, after!.Status));
    }

    [Fact]
    public async Task Cancelling_what_has_ended_is_no_error_and_it_cannot_be_replayed()
    {
        var user = await host.RegisterAsync();
        var task = await EndAsync(user, (await CreateAsync(user, "reembed", new { })).Id);

        using var cancel = await user.Client.PostAsync($"/api/tasks/{task.Id}/cancel", null, Ct);
        using var replay = await user.Client.PostAsync($"/api/tasks/{task.Id}/replay", null, Ct);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Conflict), (cancel.StatusCode, replay.StatusCode));
    }

    [Fact]
    public async Task The_same_request_with_a_key_makes_one_task()
    {
        var user = await host.RegisterAsync();
        var ids = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < 3; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/tasks") { Content = JsonContent.Create(new { kind = "reembed", input = new { } }) };
            request.Headers.Add("Idempotency-Key", "again");
            using var response = await user.Client.SendAsync(request, Ct);
            Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
            ids.Add(response.Headers.Location!.ToString());
        }

        Assert.Single(ids);
        Assert.Single((await ListAsync(user)).Items);
        Assert.Empty((await ListAsync(user, "?status=dead")).Items);
        foreach (var query in (string[])["status=deadish", "limit=0", "cursor=forged"])
        {
            using var refused = await user.Client.GetAsync($"/api/tasks?{query}", Ct);
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        }
    }

    private static async Task<BackgroundTask> CreateAsync(TestUser user, string kind, object input)
    {
        using var response = await user.Client.PostAsJsonAsync("/api/tasks", new { kind, input }, ContractJson.Options, Ct);
        Assert.True(response.StatusCode == HttpStatusCode.Accepted, await response.Content.ReadAsStringAsync(Ct));
        var task = (await response.Content.ReadFromJsonAsync<BackgroundTask>(ContractJson.Options, Ct))!;
        Assert.EndsWith($"/api/tasks/{task.Id}", response.Headers.Location!.ToString(), StringComparison.Ordinal);
        return task;
    }

    private static async Task<BackgroundTask> EndAsync(TestUser user, TaskId id)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        limit.CancelAfter(Patience.Limit);
        while (true)
        {
            var task = (await user.Client.GetFromJsonAsync<BackgroundTask>($"/api/tasks/{id}", ContractJson.Options, limit.Token))!;
            if (task.EndedAt is not null)
                return task;
            await Task.Delay(20, limit.Token);
        }
    }

    private static async Task<Page<BackgroundTask>> ListAsync(TestUser user, string query = "") =>
        (await user.Client.GetFromJsonAsync<Page<BackgroundTask>>($"/api/tasks{query}", ContractJson.Options, Ct))!;
}
