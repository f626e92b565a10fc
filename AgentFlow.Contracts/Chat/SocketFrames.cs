using System.Text.Json;
using System.Text.Json.Serialization;
using AgentFlow.Contracts.Rooms;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Contracts.Chat;

/// <summary>Answer of <c>POST /api/ws-ticket</c>: opens one WebSocket, once.</summary>
/// <param name="Ticket">Goes into the address: <c>/ws/chat?ticket=...</c> or <c>/ws/rooms/{id}?ticket=...</c>.</param>
/// <param name="ExpiresIn">Seconds.</param>
public sealed record SocketTicket(string Ticket, int ExpiresIn);

/// <summary>What a client sends over a WebSocket; <c>type</c> says which. What comes back are run events, <c>pong</c> and <c>error</c>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(MessageFrame), "message")]
[JsonDerivedType(typeof(CancelFrame), "cancel")]
[JsonDerivedType(typeof(ContextFrame), "context.add")]
[JsonDerivedType(typeof(ApprovalFrame), "approval")]
[JsonDerivedType(typeof(PingFrame), "ping")]
public abstract record ClientFrame
{
    /// <summary>Any text of up to 200 characters; comes back in errors and pongs that belong to this frame.</summary>
    public string? Ref { get; init; }
}

/// <summary>
/// A message with the members of <see cref="ChatRequest"/>, flat; the run's events follow as frames. In a room the conversation is the
/// room's, and answers wait for each other: of the members, only message, model, selectedText, context, ask and idempotencyKey are taken.
/// </summary>
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

    /// <summary>In rooms only: false for a message to the people alone, which the agent reads later but does not answer.</summary>
    public bool? Ask { get; init; }

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

/// <summary>Stops one run, or all of a conversation; in a room, one run or, with neither, all of the room.</summary>
public sealed record CancelFrame : ClientFrame
{
    public RunId? RunId { get; init; }

    public ConversationId? ConversationId { get; init; }
}

/// <summary>
/// Hands a run that is going on something more to consider; it joins before the next call of the model, quoted and not trusted, and
/// <c>context.added</c> says so. Refused with 409 where the run is not being answered any more.
/// </summary>
public sealed record ContextFrame : ClientFrame
{
    public required RunId RunId { get; init; }

    /// <summary>A JSON object of at most 32 KiB.</summary>
    public required JsonElement Context { get; init; }
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

/// <summary>What the server says beside run events. The last five come in rooms only.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PongFrame), "pong")]
[JsonDerivedType(typeof(ErrorFrame), "error")]
[JsonDerivedType(typeof(ResumeFrame), "stream.resume")]
[JsonDerivedType(typeof(RoomSnapshotFrame), "snapshot")]
[JsonDerivedType(typeof(MessageAddedFrame), "message.added")]
[JsonDerivedType(typeof(QueuedFrame), "queued")]
[JsonDerivedType(typeof(PresenceFrame), "presence")]
[JsonDerivedType(typeof(RoomChangedFrame), "room.changed")]
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

    /// <summary>Of the connection, to find it in logs and traces.</summary>
    public string? TraceId { get; init; }
}

/// <summary>
/// The server is being stopped while the run waits, for its turn or for a person: it goes on in another process, and the client reads on
/// by <c>GET /api/runs/{id}/events?after=</c>. Comes where a last event would, on streams of events as well; it is none of the log's.
/// </summary>
public sealed record ResumeFrame : ServerFrame
{
    public required RunId RunId { get; init; }

    /// <summary>The newest event that was sent.</summary>
    public required long After { get; init; }
}

/// <summary>The first frame in a room: all that a late joiner needs. Each of <see cref="Runs"/> follows from its first event.</summary>
public sealed record RoomSnapshotFrame : ServerFrame
{
    public required Room Room { get; init; }

    public required IReadOnlyList<RoomMember> Members { get; init; }

    /// <summary>The newest 200 at most, oldest first; <c>GET /api/rooms/{id}/messages</c> has the others.</summary>
    public required IReadOnlyList<HistoryMessage> Messages { get; init; }

    /// <summary>Being answered, or waiting to be.</summary>
    public required IReadOnlyList<RunState> Runs { get; init; }
}

/// <summary>Somebody wrote. With a <see cref="HistoryMessage.RunId"/> the agent was asked, and that run's events follow.</summary>
public sealed record MessageAddedFrame : ServerFrame
{
    public required HistoryMessage Message { get; init; }
}

/// <summary>The agent is busy: this run starts when those before it have ended.</summary>
public sealed record QueuedFrame : ServerFrame
{
    public required RunId RunId { get; init; }

    public required MessageId MessageId { get; init; }

    /// <summary>Runs that go first, at least 1.</summary>
    public required int Ahead { get; init; }
}

/// <summary>Who has the room open, after somebody came or went.</summary>
public sealed record PresenceFrame : ServerFrame
{
    public required IReadOnlyList<OwnerId> Online { get; init; }
}

/// <summary>Another name, another agent, other members or roles.</summary>
public sealed record RoomChangedFrame : ServerFrame
{
    public required Room Room { get; init; }

    public required IReadOnlyList<RoomMember> Members { get; init; }
}
