using System.Text.Json;
using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.ApiService.Learning;

/// <summary>One turn to learn from. An empty answer: only what the user said counts, because there was no answer or others' text was in sight when it was written.</summary>
/// <param name="Author">In a room, who asked.</param>
internal sealed record LearnInput(ConversationId ConversationId, MessageId MessageId, string Agent, string Question, string Answer, string? Author = null);

/// <summary>
/// Background work of kind <c>learn</c>: facts about the user go to user scope, about the work at hand to session scope. In a room, whose
/// people are several, everything goes to the room's session. Agent scope is written by an explicit tool only. The memory service recognises what it knows already, so a repeated attempt changes nothing.
/// </summary>
internal sealed class LearnTask(MemoryClient memories) : ITaskHandler
{
    public const string TaskKind = "learn";

    private const string AboutTheUser =
        "Keep only what is lastingly true of the user as a person. Leave out the task at hand, its decisions and its results: they are kept elsewhere.";

    private const string AboutTheWork =
        "Keep only what concerns the work at hand: its goals, decisions, results, names and open questions. Leave out what is true of the user as a person: it is kept elsewhere.";

    public string Kind => TaskKind;

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        var input = context.Input.Deserialize<LearnInput>(ContractJson.Options) ?? throw new TaskFailedException("The task has no input.");
        var owner = new OwnerId(context.OwnerId);
        var user = input.Author is null
            ? await memories.AddAsync(owner, UserFacts(owner, input.Question, input.MessageId, MemoryTrust.Inferred), ct)
            : await memories.AddAsync(owner, RoomFacts(input.ConversationId, input.Author, input.Question, input.MessageId, MemoryTrust.Inferred), ct);
        var session = 0;
        foreach (var facts in user.Extraction == ExtractionHeader.Rules ? WorkFacts(input.ConversationId, input.Author, input.Question, input.MessageId, MemoryTrust.Inferred) : [SessionFacts(input)])
            session += (await memories.AddAsync(owner, facts, ct)).Items.Count;
        return JsonSerializer.SerializeToElement(new { user = user.Items.Count, session }, ContractJson.Options);
    }

    /// <summary>What <see cref="WorkStatements"/> finds, one request each, where no model can tell the work from the user.</summary>
    public static IEnumerable<AddMemoryRequest> WorkFacts(ConversationId conversation, string? author, string said, MessageId message, MemoryTrust trust) =>
        WorkStatements.In(said).Select(statement => new AddMemoryRequest
        {
            Text = Speaker.Sign(author, statement),
            SessionId = conversation.ToString(),
            Infer = false,
            Source = $"message:{message}",
            Trust = trust,
        });

    /// <summary>Only the user's own words: what an answer or a document says about him is not his.</summary>
    public static AddMemoryRequest UserFacts(OwnerId owner, string said, MessageId message, MemoryTrust trust) => new()
    {
        Messages = [new MemoryMessage("user", said)],
        UserId = owner.Value.ToString("D"),
        Infer = true,
        Instructions = AboutTheUser,
        Source = $"message:{message}",
        Trust = trust,
    };

    /// <summary>What somebody says in a room is kept with his name, for the room alone.</summary>
    public static AddMemoryRequest RoomFacts(ConversationId conversation, string author, string said, MessageId message, MemoryTrust trust) => new()
    {
        Messages = [new MemoryMessage("user", said, author)],
        SessionId = conversation.ToString(),
        Infer = true,
        Source = $"message:{message}",
        Trust = trust,
    };

    private static AddMemoryRequest SessionFacts(LearnInput input) => new()
    {
        Messages = input.Answer.Length == 0
            ? [new MemoryMessage("user", input.Question, input.Author)]
            : [new MemoryMessage("user", input.Question, input.Author), new MemoryMessage("assistant", input.Answer)],
        SessionId = input.ConversationId.ToString(),
        Infer = true,
        Instructions = AboutTheWork,
        Source = $"message:{input.MessageId}",
        Trust = MemoryTrust.Inferred,
    };
}
