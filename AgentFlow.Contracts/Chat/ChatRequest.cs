using System.Text.Json;

namespace AgentFlow.Contracts.Chat;

public enum OnDisconnect
{
    Continue,
    Cancel,
}

public enum WhileRunning
{
    Reject,
    Enqueue,
    Interrupt,
}

/// <summary>Body of <c>POST /api/chat</c>. Exactly one of <see cref="Message"/> and <see cref="Messages"/>.</summary>
public sealed record ChatRequest
{
    /// <summary>1 to 50,000 characters.</summary>
    public string? Message { get; init; }

    /// <summary>A conversation that is not kept; the last entry is the user's.</summary>
    public IReadOnlyList<ChatTurn>? Messages { get; init; }

    /// <summary>Absent: a new conversation is made.</summary>
    public ConversationId? ConversationId { get; init; }

    /// <summary>Slug; absent: the one that was named last in the conversation, in a new one the user's default agent.</summary>
    public string? Agent { get; init; }

    /// <summary>One of the agent's models; absent: its first.</summary>
    public string? Model { get; init; }

    /// <summary>Answer from this passage alone.</summary>
    public string? SelectedText { get; init; }

    /// <summary>A JSON object of at most 32 KiB: quoted data for the model, never instructions.</summary>
    public JsonElement? Context { get; init; }

    public bool Stream { get; init; } = true;

    public OnDisconnect OnDisconnect { get; init; }

    public WhileRunning WhileRunning { get; init; }

    /// <summary>The message that this one answers; absent: the newest. A sibling makes a branch.</summary>
    public MessageId? ParentMessageId { get; init; }
}

public enum ChatRole
{
    User,
    Assistant,
}

public sealed record ChatTurn(ChatRole Role, string Content);
