using System.Collections.Concurrent;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Rooms;

/// <summary>Wakes the sockets of a room when a transaction, of whichever process, has changed something in it. A hint: sockets also look by themselves.</summary>
internal sealed class RoomSignals : IDisposable
{
    private const string Topic = "rooms";
    private readonly ConcurrentDictionary<RoomId, TaskCompletionSource> _waiting = new();
    private readonly Notifications _notifications;
    private readonly IDisposable _subscription;

    public RoomSignals(Notifications notifications)
    {
        _notifications = notifications;
        _subscription = notifications.Subscribe(Topic, OnNotification);
    }

    /// <summary>Completes at the next change. Taken before looking, so that nothing falls in between.</summary>
    public Task Next(RoomId room) =>
        _waiting.GetOrAdd(room, static _ => new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    /// <summary>Part of the transaction that changes the room.</summary>
    public void Tell(DbBatch batch, RoomId room) => _notifications.Notify(batch, Topic, room.ToString());

    public void Dispose() => _subscription.Dispose();

    private void OnNotification(string text)
    {
        if (RoomId.TryParse(text, null, out var room))
        {
            Wake(room);
            return;
        }

        // The listening connection was away: anything may have happened.
        foreach (var each in _waiting.Keys)
            Wake(each);
    }

    private void Wake(RoomId room)
    {
        if (_waiting.TryRemove(room, out var waiting))
            waiting.TrySetResult();
    }
}
