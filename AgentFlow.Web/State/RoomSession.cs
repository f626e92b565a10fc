using System.Collections.Immutable;
using System.Net.WebSockets;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Rooms;
using AgentFlow.Contracts.Runs;
using AgentFlow.Web.Api;

namespace AgentFlow.Web.State;

/// <summary>
/// One room on one page: holds the connection, makes it again when it breaks, and tells when there is something new to draw. Runs on the page's
/// dispatcher, so it needs no lock.
/// </summary>
internal sealed class RoomSession(ApiClient api, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(3);

    private readonly Stay _stay = new();
    private readonly List<Unconfirmed> _unconfirmed = [];
    private RoomSocket? _socket;

#pragma warning disable MA0046 // A page that is told to draw needs neither sender nor arguments.
    public event Action? Changed;
#pragma warning restore MA0046

    public RoomState State { get; private set; } = RoomState.Empty;

    public bool IsConnected { get; private set; }

    /// <summary>True while something that was said has not been seen in the room.</summary>
    public bool IsSending => _unconfirmed.Count > 0;

    /// <summary>True once the API has said that there is nothing here for this person, or nothing any more.</summary>
    public bool IsOver { get; private set; }

    /// <summary>True when the room was open before it was over: this person was removed, or the room deleted.</summary>
    public bool WasOpen { get; private set; }

    public ApiProblem? Problem { get; private set; }

    /// <summary>Follows the room until the page is left.</summary>
    public async Task FollowAsync(RoomId room)
    {
        var pause = FirstPause;
        while (!_stay.IsOver)
        {
            try
            {
                // Says in words why a room can not be opened: it is gone, or not one's own.
                await api.GetAsync<Room>($"api/rooms/{room}", _stay.Leaving);
                await using var socket = await RoomSocket.OpenAsync(api, room, _stay.Leaving);
                (_socket, IsConnected, Problem, pause) = (socket, true, null, FirstPause);
                Tell();
                await foreach (var frame in socket.ReadAsync(_stay.Leaving))
                {
                    Take(frame);
                    if (frame is RoomSnapshotFrame)
                        await SayAgainAsync(socket);
                }
            }
            catch (OperationCanceledException) when (_stay.IsOver)
            {
                return;
            }
            catch (ApiException refusal) when (refusal.Problem.Status is 401 or 403 or 404)
            {
                (Problem, IsOver, WasOpen, State) = (refusal.Problem, true, State.Room is not null, RoomState.Empty);
                _unconfirmed.Clear();
                Tell();
                return;
            }
            catch (Exception fault) when (fault is ApiException or JsonException || IsLost(fault))
            {
                // Tried again below, and said on the page meanwhile.
            }

            (_socket, IsConnected) = (null, false);
            Tell();
            await PauseAsync(pause);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    /// <summary>
    /// Says something. It is said again over a new connection until the room has shown it, and the key keeps it from being said twice.
    /// </summary>
    public Task SayAsync(OwnerId author, string text, string? quote, bool askAgent)
    {
        var key = Guid.CreateVersion7().ToString("N");
        var frame = new MessageFrame { Message = text, SelectedText = quote, Ask = askAgent, IdempotencyKey = key, Ref = key };
        _unconfirmed.Add(new Unconfirmed(frame, author, State.Messages));
        return SendAsync(frame);
    }

    public Task StopAsync() => SendAsync(new CancelFrame());

    public Task DecideAsync(RunId run, string callId, ApprovalChoice decision, JsonElement? arguments) =>
        SendAsync(new ApprovalFrame { RunId = run, CallId = callId, Decision = decision, Arguments = arguments });

    public void Dismiss()
    {
        Problem = null;
        Tell();
    }

    public void Dispose() => _stay.Dispose();

    private async Task SayAgainAsync(RoomSocket socket)
    {
        foreach (var said in _unconfirmed.ToArray())
            await socket.SendAsync(said.Frame, _stay.Leaving);
    }

    private async Task SendAsync(ClientFrame frame)
    {
        try
        {
            Problem = null;
            if (_socket is { } socket)
                await socket.SendAsync(frame, _stay.Leaving);
            else if (frame is not MessageFrame)
                Problem = ApiProblem.Unreachable;
        }
        catch (Exception fault) when (IsLost(fault))
        {
            // The connection is made again, and what was said with it.
            Problem = frame is MessageFrame ? null : ApiProblem.Unreachable;
        }

        Tell();
    }

    private void Take(object frame)
    {
        if (frame is ErrorFrame error)
        {
            Problem = new ApiProblem(error.Status, error.Code, error.Detail, error.TraceId);
            _unconfirmed.RemoveAll(said => said.Frame.Ref == error.Ref);
        }
        else
        {
            State = State.Apply(frame);
            _unconfirmed.RemoveAll(said => said.IsIn(State));
        }

        Tell();
    }

    private async Task PauseAsync(TimeSpan pause)
    {
        try
        {
            await Task.Delay(pause, time, _stay.Leaving);
        }
        catch (OperationCanceledException)
        {
            // The page is left.
        }
    }

    /// <summary>A socket that nobody answers any more ends by a cancellation that nobody asked for; one that is closed, by a misuse.</summary>
    private bool IsLost(Exception fault) =>
        fault is WebSocketException or InvalidOperationException || ApiClient.IsConnectionFault(fault, _stay.Leaving);

    private void Tell() => Changed?.Invoke();

    /// <param name="Frame">What was said.</param>
    /// <param name="Author">Who said it.</param>
    /// <param name="Before">What the room had shown until then.</param>
    private sealed record Unconfirmed(MessageFrame Frame, OwnerId Author, ImmutableList<MessageView> Before)
    {
        public bool IsIn(RoomState state) => state.Messages.Exists(message =>
            message.AuthorId == Author && message.Text == Frame.Message && !Before.Exists(known => known.Id == message.Id));
    }
}
