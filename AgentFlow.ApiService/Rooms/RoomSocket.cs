using System.Net.WebSockets;
using AgentFlow.ApiService.Chat;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Runs;
using AgentFlow.ApiService.Sockets;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Rooms;
using AgentFlow.ServiceDefaults.Problems;
using Npgsql;

namespace AgentFlow.ApiService.Rooms;

/// <summary>
/// One member's WebSocket in a room: a snapshot, then everything that happens, in the order of the room's log, whichever process it
/// happened in. What somebody says here is told to all by the log, to its author as well. Ends when the member is removed.
/// </summary>
internal sealed partial class RoomSocket(
    WebSocket socket, RoomAccess room, Caller caller, RoomServices services, SocketOptions options)
{
    private readonly Guid _id = Guid.CreateVersion7();
    private readonly HashSet<MessageId> _inSnapshot = [];
    private IReadOnlyList<OwnerId> _online = [];
    private long _cursor;

    public async Task RunAsync(CancellationToken aborted, CancellationToken stopping)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(aborted);
        using var link = new SocketLink(socket, services.Sockets.Time, services.Sockets.Logger);
        var followers = new RunFollowers(link, services.Sockets.Streams, room.Owner, options.KeepAlive);
        await services.Feed.EnterAsync(room.Id, caller.Owner, _id, aborted);
        try
        {
            await SendSnapshotAsync(link, followers, ending.Token);
            await link.RunAsync(
                (frame, ct) => HandleAsync(link, frame, ct), ct => LoseAsync(link, followers, ending.Token, ct), followers.AllAsync, aborted, stopping);
        }
        catch (Exception gone) when (gone is OperationCanceledException or WebSocketException)
        {
            LogLeft(services.Sockets.Logger, gone, room.Id.Value);
        }
        finally
        {
            await ending.CancelAsync();
            await followers.AllAsync();
            await LeaveAsync();
        }
    }

    private async Task SendSnapshotAsync(SocketLink link, RunFollowers followers, CancellationToken ct)
    {
        var snapshot = await services.Feed.SnapshotAsync(room, ct);
        var members = await services.Store.MembersAsync(room.Id, ct);
        _cursor = snapshot.LastSeq;
        _online = Online(members);
        _inSnapshot.UnionWith(snapshot.Messages.Select(message => message.Id));
        await link.SendAsync(new RoomSnapshotFrame { Room = room.Room, Members = members, Messages = snapshot.Messages, Runs = snapshot.Runs }, ct);
        foreach (var run in snapshot.Runs)
            followers.Follow(new(run.Id, room.Conversation, services.Local(run.Id), IsReplay: true), OnDisconnect.Continue, ct);
    }

    /// <summary>Whichever comes first: the sign-in ends, or the membership.</summary>
    private async Task<string> LoseAsync(SocketLink link, RunFollowers followers, CancellationToken ending, CancellationToken ct) =>
        await await Task.WhenAny(services.Sockets.WatchAccessAsync(caller, options.AccessCheck, () => followers.Count > 0, ct), WatchRoomAsync(link, followers, ending, ct));

    private async Task<string> WatchRoomAsync(SocketLink link, RunFollowers followers, CancellationToken ending, CancellationToken ct)
    {
        var time = services.Sockets.Time;
        var seenAt = time.GetTimestamp();
        while (true)
        {
            var changed = services.Signals.Next(room.Id);
            var renews = time.GetElapsedTime(seenAt) >= services.Options.Look;
            if (renews)
                seenAt = time.GetTimestamp();
            var news = await services.Feed.LookAsync(room.Id, caller.Owner, renews ? _id : null, _cursor, ct);
            if (news.Role is null)
                return "You are not in this room any more.";
            await TellAsync(link, followers, news, ending, ct);
            if (news.Entries.Count == 0)
                await Task.WhenAny(changed, Task.Delay(services.Options.Look, time, ct));
            ct.ThrowIfCancellationRequested();
        }
    }

    private async Task TellAsync(SocketLink link, RunFollowers followers, RoomNews news, CancellationToken ending, CancellationToken ct)
    {
        foreach (var entry in news.Entries)
        {
            _cursor = entry.Seq;
            if (entry.Message is { } message)
                await TellAsync(link, followers, message, entry.Ahead, ending, ct);
        }

        if (news.Entries.Any(entry => entry.Message is null) && await services.Store.TryFindAsync(caller.Owner, room.Id, ct) is { } changed)
            await link.SendAsync(new RoomChangedFrame { Room = changed.Room, Members = await services.Store.MembersAsync(room.Id, ct) }, ct);
        if (!news.Online.SequenceEqual(_online))
        {
            _online = news.Online;
            await link.SendAsync(new PresenceFrame { Online = _online }, ct);
        }
    }

    private async Task TellAsync(SocketLink link, RunFollowers followers, HistoryMessage message, int ahead, CancellationToken ending, CancellationToken ct)
    {
        if (!_inSnapshot.Remove(message.Id))
            await link.SendAsync(new MessageAddedFrame { Message = message }, ct);
        if (message.RunId is not { } run)
            return;
        if (ahead > 0)
            await link.SendAsync(new QueuedFrame { RunId = run, MessageId = message.Id, Ahead = ahead }, ct);
        followers.Follow(new(run, room.Conversation, services.Local(run), IsReplay: true), OnDisconnect.Continue, ending);
    }

    /// <summary>Each frame by the role that the member has now.</summary>
    private async Task HandleAsync(SocketLink link, ClientFrame frame, CancellationToken ct)
    {
        if (frame is PingFrame)
        {
            await link.SendAsync(new PongFrame { Ref = frame.Ref }, ct);
            return;
        }

        var now = (await services.Store.FindAsync(caller.Owner, room.Id, ct)).Require(RoomRole.Member);
        await (frame switch
        {
            MessageFrame message => services.Talk.SayAsync(now, caller, message, ct),
            CancelFrame { ConversationId: not null } => throw ChatValidation.Invalid("conversationId", "A room has one conversation: leave it out."),
            CancelFrame { RunId: { } run } => services.Sockets.CancelRunAsync(room.Owner, run, ct),
            CancelFrame => services.Sockets.Control.StopAllAsync(room.Owner, room.Conversation, ct),
            ContextFrame context => services.Sockets.AddContextAsync(room.Owner, context, ct),
            ApprovalFrame approval => services.Sockets.DecideAsync(room.Owner, approval, ct),
            _ => throw new ProblemException(StatusCodes.Status400BadRequest, "invalid_frame", "Rooms do not take this frame."),
        });
    }

    private static IReadOnlyList<OwnerId> Online(IEnumerable<RoomMember> members) =>
        [.. members.Where(member => member.IsOnline).Select(member => member.UserId).OrderBy(id => id.Value.ToString("D"), StringComparer.Ordinal)];

    private async Task LeaveAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2), services.Sockets.Time);
        try
        {
            await services.Feed.LeaveAsync(room.Id, _id, limit.Token);
        }
        catch (Exception error) when (error is NpgsqlException or OperationCanceledException)
        {
            // The row runs out by itself.
            LogLeft(services.Sockets.Logger, error, room.Id.Value);
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "A socket left room {RoomId}")]
    private static partial void LogLeft(ILogger logger, Exception why, Guid roomId);
}
