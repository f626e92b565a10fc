using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using static AgentFlow.Tests.ApiService.Agents.TurnFixture;

namespace AgentFlow.Tests.ApiService.Agents;

/// <summary>What somebody gets who starts the product without a key: the built-in model over real documents and a real memory service.</summary>
public sealed class OfflineTurnTests(OfflineTurns shared) : IClassFixture<OfflineTurns>, IAsyncLifetime
{
    private const string Manual = "Coffee machine manual\n\nFill the tank with cold water. Descale the machine every three months. The warranty lasts two years.";

    private readonly TurnFixture _turns = shared.Turns;

    public async ValueTask InitializeAsync() => await _turns.RenewAsync();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task A_question_is_answered_from_a_document_with_a_citation_of_the_exact_range()
    {
        var document = await _turns.UploadAsync("manual.txt", Manual);

        var events = await _turns.AskAsync("How often should I descale the machine?");

        Assert.Equal("Descale the machine every three months. [1]", TextOf(events));
        var citation = Assert.Single(events.OfType<CitationAdded>());
        Assert.Equal((1, document, "manual.txt", "Descale the machine every three months."), (citation.Index, citation.DocumentId!.Value, citation.DocumentName, citation.Quote));
        Assert.Equal(citation.Quote, Manual[citation.Start..citation.End]);
        Assert.Equal("extractive", Assert.IsType<RunStarted>(events[0]).Model);
        Assert.Single(events.OfType<ContextRecalled>(), r => r.Degraded is null && r.Chunks.Count > 0);
        Assert.IsType<RunCompleted>(events[^1]);
    }

    [Fact]
    public async Task A_preference_said_in_one_conversation_answers_in_the_next()
    {
        var told = await _turns.AskAsync("I prefer tea over coffee.");
        var asked = await _turns.AskAsync("What do I like to drink?");

        Assert.Equal("I will remember that: You prefer tea over coffee.", TextOf(told));
        Assert.Equal(1, Assert.Single(told.OfType<MemoryStored>()).Count);
        Assert.Equal("From what you told me: You prefer tea over coffee.", TextOf(asked));
        Assert.Equal("user", Assert.Single(Assert.Single(asked.OfType<ContextRecalled>()).Memories).Scope);
        Assert.NotEqual(((RunStarted)told[0]).ConversationId, ((RunStarted)asked[0]).ConversationId);
    }

    [Fact]
    public async Task Selected_text_alone_is_answered_from_with_its_own_offsets()
    {
        const string selected = "Shops close early. On Monday the museum is closed.";
        await _turns.UploadAsync("museum.txt", "The museum is closed on Tuesday and on every Monday in May.");

        var events = await _turns.ChatAsync(new() { Message = "When is the museum closed?", SelectedText = selected });

        Assert.Equal("On Monday the museum is closed. [1]", TextOf(events));
        var citation = Assert.Single(events.OfType<CitationAdded>());
        Assert.Null(citation.DocumentId);
        Assert.Equal("On Monday the museum is closed.", selected[citation.Start..citation.End]);
    }

    [Fact]
    public async Task A_memory_service_that_is_down_degrades_the_answer_and_loses_nothing()
    {
        await using var turns = await StartAsync(withProvider: false);
        await turns.UploadAsync("manual.txt", Manual);
        await turns.Memory.App.StopAsync(CancellationToken.None);

        var events = await turns.AskAsync("How long does the warranty last?");
        var told = await turns.AskAsync("My name is Alice.");

        Assert.Equal("The warranty lasts two years. [1]", TextOf(events));
        Assert.Equal(["memory"], Assert.Single(events.OfType<ContextRecalled>()).Degraded);
        Assert.IsType<RunCompleted>(told[^1]);
        Assert.Equal(1L, await turns.CountAsync("select count(*) from tasks where kind = 'learn'"));
    }

    [Fact]
    public async Task One_json_answer_names_mode_chunks_citations_and_timings()
    {
        await _turns.UploadAsync("manual.txt", Manual);

        using var response = await _turns.User.Client.PostAsJsonAsync(
            "/api/v1/chat/query", new QueryRequest { Question = "How long does the warranty last?", TopK = 3 }, ContractJson.Options, TestContext.Current.CancellationToken);
        var answer = (await response.Content.ReadFromJsonAsync<QueryAnswer>(ContractJson.Options, TestContext.Current.CancellationToken))!;

        Assert.Equal("The warranty lasts two years. [1]", answer.Answer);
        Assert.Equal(QueryMode.Retrieval, answer.Mode);
        Assert.Equal("The warranty lasts two years.", Assert.Single(answer.Citations).Quote);
        Assert.Empty(answer.Degraded);
        Assert.NotEmpty(answer.Chunks);
    }
}
