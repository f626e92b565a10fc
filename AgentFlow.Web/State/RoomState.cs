using System.Collections.Immutable;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Rooms;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Web.State;

/// <summary>A room as its page knows it. Immutable; every frame is a pure change, and a snapshot replaces everything.</summary>
internal sealed record RoomState
{
    public static RoomState Empty { get; } = new();

    public Room? Room { get; init; }

    public ImmutableList<RoomMember> Members { get; init; } = [];

    public ImmutableHashSet<OwnerId> Online { get; init; } = [];

    public ImmutableList<MessageView> Messages { get; init; } = [];

    /// <summary>Runs that wait for the agent, with how many go first.</summary>
    public ImmutableDictionary<RunId, int> Waiting { get; init; } = ImmutableDictionary<RunId, int>.Empty;

    public bool IsAnswering => Messages.Exists(message => message.IsRunning && message.Role is ChatRole.Assistant) || !Waiting.IsEmpty;

    public RoomState Apply(object frame) => frame switch
    {
        RoomSnapshotFrame snapshot => Start(snapshot),
        MessageAddedFrame added => this with { Messages = Put(MessageView.From(added.Message)) },
        QueuedFrame queued => this with { Waiting = Waiting.SetItem(queued.RunId, queued.Ahead) },
        PresenceFrame presence => this with { Online = [.. presence.Online] },
        RoomChangedFrame changed => this with { Room = changed.Room, Members = [.. changed.Members] },
        RunEvent evt => Follow(evt),
        _ => this,
    };

    private static RoomState Start(RoomSnapshotFrame snapshot) => new()
    {
        Room = snapshot.Room,
        Members = [.. snapshot.Members],
        Online = [.. snapshot.Members.Where(member => member.IsOnline).Select(member => member.UserId)],
        Messages = [.. snapshot.Messages.Select(MessageView.From)],
    };

    private RoomState Follow(RunEvent evt)
    {
        if (evt is RunStarted started)
        {
            // A replay from the start writes the answer anew.
            var answer = new MessageView
            {
                Id = started.MessageId,
                Role = ChatRole.Assistant,
                Status = RunStatus.Running,
                RunId = started.RunId,
                Agent = started.Agent,
                Model = started.Model,
                CreatedAt = started.At,
            };
            return this with { Messages = Put(answer), Waiting = Waiting.Remove(started.RunId) };
        }

        var waiting = evt.IsTerminal ? Waiting.Remove(evt.RunId) : Waiting;
        var at = Messages.FindLastIndex(message => message.Role is ChatRole.Assistant && message.RunId == evt.RunId);
        return this with { Waiting = waiting, Messages = at < 0 ? Messages : Messages.SetItem(at, AnswerFold.Apply(Messages[at], evt)) };
    }

    private ImmutableList<MessageView> Put(MessageView message)
    {
        var at = Messages.FindLastIndex(known => known.Id == message.Id);
        return at < 0 ? Messages.Add(message) : Messages.SetItem(at, message);
    }
}
