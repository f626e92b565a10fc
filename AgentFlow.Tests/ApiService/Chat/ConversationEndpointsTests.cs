using System.Net;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.ApiService.Runs;

namespace AgentFlow.Tests.ApiService.Chat;

public sealed class ConversationEndpointsTests(EchoHost shared) : IClassFixture<EchoHost>
{
    private readonly RunsHost _host = shared.Renewed;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Conversations_are_listed_page_by_page_and_nobody_else_sees_them()
    {
        var made = new List<ConversationId>();
        for (var i = 0; i < 5; i++)
            made.Add(await AskAsync($"question {i}"));
        await AskAsync("again", made[0]);

        var listed = new List<ConversationId>();
        string? cursor = null;
        do
        {
            var page = await GetAsync<Page<ConversationSummary>>($"/api/chat?limit=2{(cursor is null ? "" : $"&cursor={cursor}")}");
            listed.AddRange(page.Items.Select(item => item.Id));
            cursor = page.NextCursor;
        }
        while (cursor is not null);

        Assert.Equal([made[0], made[4], made[3], made[2], made[1]], listed);
        using var stranger = _host.ClientOf(OwnerId.New());
        Assert.Empty((await stranger.GetFromJsonAsync<Page<ConversationSummary>>("/api/chat", ContractJson.Options, Ct))!.Items);
    }

    [Fact]
    public async Task History_pages_from_either_end()
    {
        var id = await AskAsync("0");
        for (var i = 1; i < 4; i++)
            await AskAsync($"{i}", id);
        var all = (await GetAsync<Page<HistoryMessage>>($"/api/chat/{id}/history")).Items.Select(m => m.Id).ToArray();

        async Task<List<MessageId[]>> PagesAsync(string order)
        {
            var pages = new List<MessageId[]>();
            string? cursor = null;
            do
            {
                var page = await GetAsync<Page<HistoryMessage>>($"/api/chat/{id}/history?limit=3&order={order}{(cursor is null ? "" : $"&cursor={cursor}")}");
                pages.Add([.. page.Items.Select(m => m.Id)]);
                cursor = page.NextCursor;
            }
            while (cursor is not null);
            return pages;
        }

        Assert.Equal(8, all.Length);
        Assert.Equal([all[..3], all[3..6], all[6..]], await PagesAsync("asc"));
        Assert.Equal([all[5..], all[2..5], all[..2]], await PagesAsync("desc"));
    }

    [Fact]
    public async Task A_title_is_made_from_the_first_message_and_can_be_changed()
    {
        var id = await AskAsync("How do I\n\n  reset my password?");
        Assert.Equal("How do I reset my password?", (await GetAsync<ConversationSummary>($"/api/chat/{id}")).Title);

        using var renamed = await _host.Client.PatchAsJsonAsync($"/api/chat/{id}", new ConversationPatch("Passwords"), ContractJson.Options, Ct);
        using var empty = await _host.Client.PatchAsJsonAsync($"/api/chat/{id}", new ConversationPatch(" "), ContractJson.Options, Ct);

        Assert.Equal("Passwords", (await renamed.Content.ReadFromJsonAsync<ConversationSummary>(ContractJson.Options, Ct))!.Title);
        Assert.Equal(HttpStatusCode.BadRequest, empty.StatusCode);
    }

    [Fact]
    public async Task Search_finds_text_as_it_was_typed_without_operators()
    {
        var id = await AskAsync("Where is the 100% wool_coat? Ünïcode ß");
        await AskAsync("something else");

        async Task<IEnumerable<ConversationId>> FindAsync(string q) =>
            (await GetAsync<Page<ConversationHit>>($"/api/chat/search?q={Uri.EscapeDataString(q)}")).Items.Select(hit => hit.ConversationId).Distinct();

        Assert.Equal([id], await FindAsync("100% WOOL_"));
        Assert.Empty(await FindAsync("%_%"));
        Assert.Empty(await FindAsync("' or 1=1 --"));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync("/api/chat/search?q="));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync($"/api/chat/search?q={new string('x', 201)}"));
    }

    [Fact]
    public async Task What_was_found_comes_page_by_page_each_once()
    {
        var id = await AskAsync("heron 0");
        for (var i = 1; i < 3; i++)
            await AskAsync($"heron {i}", id);
        var all = (await GetAsync<Page<ConversationHit>>("/api/chat/search?q=heron")).Items;
        var paged = new List<ConversationHit>();
        string? cursor = null;
        do
        {
            var page = await GetAsync<Page<ConversationHit>>($"/api/chat/search?q=heron&limit=2{(cursor is null ? "" : $"&cursor={cursor}")}");
            paged.AddRange(page.Items);
            cursor = page.NextCursor;
        }
        while (cursor is not null);

        // The title, three questions and three answers.
        Assert.Equal(7, all.Count);
        Assert.Equal(all, paged);
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync("/api/chat/search?q=heron&cursor=x"));
    }

    [Fact]
    public async Task A_deleted_conversation_takes_messages_runs_and_events_along()
    {
        var id = await AskAsync("hello");

        using var deleted = await _host.Client.DeleteAsync($"/api/chat/{id}", Ct);
        using var again = await _host.Client.DeleteAsync($"/api/chat/{id}", Ct);

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.NotFound), (deleted.StatusCode, again.StatusCode));
        var left = new[] { "messages", "runs", "run_events" }.Select(table => $"(select count(*) from agentflow_api.{table} where owner_id = '{_host.Owner}')");
        Assert.Equal(0L, await Sql.ScalarAsync<long>(shared.Database, $"select {string.Join('+', left)}"));
    }

    [Fact]
    public async Task A_whole_conversation_is_exported_in_both_formats()
    {
        var id = await AskAsync("hello");

        var json = await GetAsync<ConversationExport>($"/api/chat/{id}/export");
        var markdown = await _host.Client.GetStringAsync($"/api/chat/{id}/export?format=markdown", Ct);

        Assert.Equal(["hello", "You said: hello"], json.Messages.Select(m => m.Content));
        Assert.Contains("# hello", markdown, StringComparison.Ordinal);
        Assert.Contains("You said: hello", markdown, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync($"/api/chat/{id}/export?format=pdf"));
    }

    [Fact]
    public async Task An_edit_is_a_sibling_and_a_repeated_question_is_answered_once_more()
    {
        var id = await AskAsync("first");
        await AskAsync("second", id);
        var before = (await GetAsync<Page<HistoryMessage>>($"/api/chat/{id}/history")).Items;

        await AskAsync("second, edited", id, before[1].Id);
        await AskAsync("second", id, before[2].Id);
        await AskAsync("first, edited", id, new MessageId(Guid.Empty));

        var after = (await GetAsync<Page<HistoryMessage>>($"/api/chat/{id}/history")).Items;
        Assert.Equal(
            [("second, edited", before[1].Id), ("You said: second, edited", after[4].Id), ("You said: second", before[2].Id), ("first, edited", null), ("You said: first, edited", after[7].Id)],
            after.Skip(4).Select(m => (m.Content, m.ParentId)));
        using var foreign = await RunsHost.ChatAsync(_host.Client, new() { Message = "x", ConversationId = id, ParentMessageId = MessageId.New() });
        Assert.Equal(HttpStatusCode.NotFound, foreign.StatusCode);
    }

    [Fact]
    public async Task A_selection_is_kept_with_its_question_and_asked_about_again()
    {
        var first = await _host.ChatToEndAsync(new() { Message = "why?", SelectedText = "Bees dance.\nTheir angle tells." });
        var id = Assert.IsType<RunStarted>(first[0].Parsed).ConversationId;
        var question = (await GetAsync<Page<HistoryMessage>>($"/api/chat/{id}/history")).Items[0];

        await _host.ChatToEndAsync(new() { Message = "why?", ConversationId = id, ParentMessageId = question.Id, SelectedText = question.SelectedText });
        await AskAsync("why?", id, question.Id);
        await _host.ChatToEndAsync(new() { Message = "why?", ConversationId = id, ParentMessageId = new MessageId(Guid.Empty), SelectedText = "Something else." });

        var history = (await GetAsync<Page<HistoryMessage>>($"/api/chat/{id}/history")).Items;
        Assert.Equal(["Bees dance.\nTheir angle tells.", null, null, null, "Something else.", null], history.Select(message => message.SelectedText));
        Assert.Equal([question.Id, question.Id, question.Id], history.Where(message => message.Role == ChatRole.Assistant).Take(3).Select(message => message.ParentId!.Value));
        Assert.Equal(3L, await Sql.ScalarAsync<long>(shared.Database, "select count(*) from agentflow_api.runs where input->>'selectedText' like 'Bees dance.%'"));
        Assert.Contains("> Bees dance.\n> Their angle tells.\n\nwhy?", await _host.Client.GetStringAsync($"/api/chat/{id}/export?format=markdown", Ct), StringComparison.Ordinal);
        using var stranger = _host.ClientOf(OwnerId.New());
        Assert.Equal(HttpStatusCode.NotFound, (await stranger.GetAsync($"/api/chat/{id}/history", Ct)).StatusCode);
    }

    [Theory]
    [InlineData("?limit=0", 400)]
    [InlineData("?limit=-1", 400)]
    [InlineData("?limit=2147483648", 400)]
    [InlineData("?cursor=x", 400)]
    [InlineData("?cursor=AAAA", 400)]
    [InlineData("/7", 404)]
    [InlineData("/0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d", 404)]
    [InlineData("/0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d/history", 404)]
    [InlineData("/0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d/export", 404)]
    public async Task Wrong_places_are_refused(string place, int status) => Assert.Equal(status, (int)await StatusAsync($"/api/chat{place}"));

    [Fact]
    public async Task Nothing_of_another_owner_can_be_reached()
    {
        var id = await AskAsync("mine");
        var run = (await GetAsync<Page<HistoryMessage>>($"/api/chat/{id}/history")).Items[0].RunId;
        using var stranger = _host.ClientOf(OwnerId.New());

        foreach (var request in new[]
        {
            new HttpRequestMessage(HttpMethod.Get, $"/api/chat/{id}"),
            new HttpRequestMessage(HttpMethod.Get, $"/api/chat/{id}/history"),
            new HttpRequestMessage(HttpMethod.Get, $"/api/chat/{id}/export"),
            new HttpRequestMessage(HttpMethod.Delete, $"/api/chat/{id}"),
            new HttpRequestMessage(HttpMethod.Patch, $"/api/chat/{id}") { Content = JsonContent.Create(new ConversationPatch("theirs"), options: ContractJson.Options) },
            new HttpRequestMessage(HttpMethod.Post, $"/api/chat/{id}/cancel"),
            new HttpRequestMessage(HttpMethod.Post, "/api/chat") { Content = JsonContent.Create(new ChatRequest { Message = "x", ConversationId = id }, options: ContractJson.Options) },
            new HttpRequestMessage(HttpMethod.Get, $"/api/runs/{run}"),
            new HttpRequestMessage(HttpMethod.Get, $"/api/runs/{run}/events"),
            new HttpRequestMessage(HttpMethod.Post, $"/api/runs/{run}/cancel"),
        })
        {
            using var response = await stranger.SendAsync(request, Ct);
            Assert.True(response.StatusCode == HttpStatusCode.NotFound, $"{request.Method} {request.RequestUri}: {response.StatusCode}");
        }

        Assert.Equal("mine", (await GetAsync<ConversationSummary>($"/api/chat/{id}")).Title);
    }

    [Fact]
    public async Task Cancelling_where_nothing_runs_is_no_error()
    {
        var id = await AskAsync("hello");
        using var response = await _host.Client.PostAsync($"/api/chat/{id}/cancel", null, Ct);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private async Task<ConversationId> AskAsync(string message, ConversationId? conversation = null, MessageId? parent = null)
    {
        var events = await _host.ChatToEndAsync(new() { Message = message, ConversationId = conversation, ParentMessageId = parent });
        return Assert.IsType<RunStarted>(events[0].Parsed).ConversationId;
    }

    private async Task<T> GetAsync<T>(string path) => (await _host.Client.GetFromJsonAsync<T>(path, ContractJson.Options, Ct))!;

    private async Task<HttpStatusCode> StatusAsync(string path)
    {
        using var response = await _host.Client.GetAsync(path, Ct);
        return response.StatusCode;
    }
}
