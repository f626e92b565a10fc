using System.Text.Json;
using System.Text.Json.Serialization;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Contracts.Chat;

/// <summary>Answer of <c>POST /api/ws-ticket</c>: opens one WebSocket, once.</summary>
/// <param name="Ticket">Goes into the address: <c>/ws/chat?ticket=...</c>.</param>
/// <param name="ExpiresIn">Seconds.</param>
public sealed record SocketTicket(string Ticket, int ExpiresIn);

/// <summary>What a client sends over a WebSocket; <c>type</c> says which. What comes back are run events, <c>pong</c> and <c>error</c>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(MessageFrame), "message")]
[JsonDerivedType(typeof(CancelFrame), "cancel")]
[JsonDerivedType(typeof(ApprovalFrame), "approval")]
[JsonDerivedType(typeof(PingFrame), "ping")]
public abstract record ClientFrame
{
    /// <summary>Any text of up to 200 characters; comes back in errors and pongs that belong to this frame.</summary>
    public string? Ref { get; init; }
}

/// <summary>A message with the members of <see cref="ChatRequest"/>, flat; the run's events follow as frames.</summary>
public sealed record MessageFrame : ClientFrame
{
    public string? Message { get; init; }

    public IReadOnlyList<ChatTurn>? Messages { get; init; }

    public ConversationId? ConversationId { get; init; }

    public string? Agent { get; init; }

    public string? Model { get; init; }

    public string? SelectedText { get; init; }

    public JsonElement? Context { get; init; }

    public OnDisconnect OnDisconnect { get; init; }

    public WhileRunning WhileRunning { get; init; }

    public MessageId? ParentMessageId { get; init; }

    /// <summary>As the header of <c>POST /api/chat</c>.</summary>
    public string? IdempotencyKey { get; init; }

    public ChatRequest ToRequest() => new()
    {
        Message = Message,
        Messages = Messages,
        ConversationId = ConversationId,
        Agent = Agent,
        Model = Model,
        SelectedText = SelectedText,
        Context = Context,
        OnDisconnect = OnDisconnect,
        WhileRunning = WhileRunning,
        ParentMessageId = ParentMessageId,
    };
}

/// <summary>Stops one run, or all of a conversation.</summary>
public sealed record CancelFrame : ClientFrame
{
    public RunId? RunId { get; init; }

    public ConversationId? ConversationId { get; init; }
}

/// <summary>Decides a tool call that waits for consent.</summary>
public sealed record ApprovalFrame : ClientFrame
{
    public required RunId RunId { get; init; }

    public required string CallId { get; init; }

    public required ApprovalChoice Decision { get; init; }

    /// <summary>With approve: run the tool with these arguments instead.</summary>
    public JsonElement? Arguments { get; init; }
}

public sealed record PingFrame : ClientFrame;

/// <summary>What the server says beside run events.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PongFrame), "pong")]
[JsonDerivedType(typeof(ErrorFrame), "error")]
public abstract record ServerFrame
{
    public string? Ref { get; init; }
}

public sealed record PongFrame : ServerFrame;

/// <summary>A frame was refused; the socket stays open. Members as in problem details.</summary>
public sealed record ErrorFrame : ServerFrame
{
    public required int Status { get; init; }

    public required string Code { get; init; }

    public required string Detail { get; init; }
}
