using System.Collections.Concurrent;
using System.Net.WebSockets;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;

namespace AgentFlow.ApiService.Sockets;

/// <summary>Sends the events of runs over one socket: a reader for each run, which pulls from the log only as fast as the client takes.</summary>
internal sealed class RunFollowers(SocketLink link, RunStreams streams, OwnerId owner, TimeSpan keepAlive)
{
    private readonly ConcurrentDictionary<RunId, Task> _following = new();

    public int Count => _following.Count;

    /// <summary>Completes when no run is followed any more.</summary>
    public Task AllAsync() => Task.WhenAll(_following.Values);

    public void Follow(RunTicket ticket, OnDisconnect onDisconnect, CancellationToken ct)
    {
        if (_following.ContainsKey(ticket.RunId))
            return;
        var following = FollowAsync(ticket, onDisconnect, ct);
        _following[ticket.RunId] = following;
        if (following.IsCompleted)
            _following.TryRemove(ticket.RunId, out _);
    }

    private async Task FollowAsync(RunTicket ticket, OnDisconnect onDisconnect, CancellationToken ct)
    {
        await Task.Yield();
        try
        {
            using var reader = streams.Read(owner, ticket);
            var events = new List<StoredEvent>();
            while (!reader.IsAtEnd)
            {
                events.Clear();
                await reader.ReadAsync(events, keepAlive, ct);
                foreach (var evt in events)
                    await link.SendAsync(evt.Data, ct);
            }

            if (reader.IsLeft)
                await link.SendAsync(new ResumeFrame { RunId = ticket.RunId, After = reader.Position }, ct);
        }
        catch (Exception gone) when (gone is OperationCanceledException or WebSocketException)
        {
            if (onDisconnect == OnDisconnect.Cancel && !ticket.IsReplay)
                ticket.Local?.Stop(StopReason.Cancelled);
        }
        finally
        {
            _following.TryRemove(ticket.RunId, out _);
        }
    }
}
