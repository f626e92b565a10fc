using System.Text.Json;
using AgentFlow.ApiService.Context;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.ApiService.Learning;

/// <summary>One turn to learn from. An empty answer: only what the user said counts.</summary>
/// <param name="Author">In a room, who asked.</param>
internal sealed record LearnInput(ConversationId ConversationId, MessageId MessageId, string Agent, string Question, string Answer, string? Author = null);

/// <summary>
/// Background work of kind <c>learn</c>: facts about the user go to user scope, about the work at hand to session scope. In a room, whose
/// people are several, everything goes to the room's session. Agent scope is written by an explicit tool only. The memory service recognises what it knows already, so a repeated attempt changes nothing.
/// </summary>
internal sealed class LearnTask(MemoryClient memories) : ITaskHandler
{
    public const string TaskKind = "learn";

    public string Kind => TaskKind;

    public async Task<JsonElement?> RunAsync(TaskContext context, CancellationToken ct)
    {
        var input = context.Input.Deserialize<LearnInput>(ContractJson.Options) ?? throw new TaskFailedException("The task has no input.");
        var owner = new OwnerId(context.OwnerId);
        var user = input.Author is null
            ? await memories.AddAsync(owner, UserFacts(owner, input.Question, input.MessageId, MemoryTrust.Inferred), ct)
            : await memories.AddAsync(owner, RoomFacts(input.ConversationId, input.Author, input.Question, input.MessageId, MemoryTrust.Inferred), ct);
        var session = input.Answer.Length == 0 ? null : await memories.AddAsync(owner, SessionFacts(input), ct);
        return JsonSerializer.SerializeToElement(new { user = user.Items.Count, session = session?.Items.Count ?? 0 }, ContractJson.Options);
    }

    /// <summary>Only the user's own words: what an answer or a document says about him is not his.</summary>
    public static AddMemoryRequest UserFacts(OwnerId owner, string said, MessageId message, MemoryTrust trust) => new()
    {
        Messages = [new MemoryMessage("user", said)],
        UserId = owner.Value.ToString("D"),
        Infer = true,
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
        Messages = [new MemoryMessage("user", input.Question, input.Author), new MemoryMessage("assistant", input.Answer)],
        SessionId = input.ConversationId.ToString(),
        Infer = true,
        Source = $"message:{input.MessageId}",
        Trust = MemoryTrust.Inferred,
    };
}
