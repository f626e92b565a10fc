using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text.Json;
using AgentFlow.ApiService.Chat;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.ApiService.Runs;
using AgentFlow.ApiService.Tools;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Sockets;

/// <summary>What a socket needs of the service.</summary>
internal sealed record SocketServices(
    RunStarter Starter, RunStreams Streams, RunStore Store, RunControl Control, ApprovalStore Approvals, CallerLimits Limits, AccessStates Access,
    TimeProvider Time, ILogger<ChatSocket> Logger);

/// <summary>
/// One WebSocket: talking while answers stream. Frames are taken one after another; each run that was started here is followed by a
/// reader of its own, which pulls from the log only as fast as the client takes. Ends when the client goes, when its access ends, or
/// when the process drains, after the last events.
/// </summary>
internal sealed partial class ChatSocket(WebSocket socket, Caller caller, SocketServices services, SocketOptions options) : IDisposable
{
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(1);
    private static readonly JsonSerializerOptions FrameJson = new(ContractJson.Options) { AllowOutOfOrderMetadataProperties = true };

    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly ConcurrentDictionary<RunId, Task> _following = new();

    public async Task RunAsync(CancellationToken aborted, CancellationToken stopping)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(aborted);

        // Cancelling a receive aborts the socket, and then nothing could be said any more: so it is left alone until the close is out.
        var receiving = ReceiveAsync(ending.Token);
        var losing = WatchAccessAsync(ending.Token);
        await Task.WhenAny(receiving, losing, Task.Delay(Timeout.Infinite, stopping));
        var (status, reason) = (WebSocketCloseStatus.PolicyViolation, "Access has ended.");
        if (receiving.IsCompleted)
        {
            (status, reason) = await EndOfAsync(receiving);
        }
        else if (!losing.IsCompleted)
        {
            // The runs are being closed: their last events go out first.
            await Task.WhenAll(_following.Values).WaitAsync(CloseTimeout * 4, services.Time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            (status, reason) = (WebSocketCloseStatus.EndpointUnavailable, "This server is being stopped.");
        }

        await CloseAsync(status, reason);

        // A moment for the client's own close; cutting it off at once could take ours away with it.
        await receiving.WaitAsync(CloseTimeout, services.Time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await ending.CancelAsync();
        await Task.WhenAll([receiving, losing, .. _following.Values]).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>What the client is told about why nothing more is read.</summary>
    private async Task<(WebSocketCloseStatus Status, string Reason)> EndOfAsync(Task receiving)
    {
        try
        {
            await receiving;
            return (WebSocketCloseStatus.NormalClosure, "bye");
        }
        catch (SocketRefusedException refused)
        {
            Refused(services.Logger, refused.Message);
            return (refused.Status, refused.Message);
        }
        catch (Exception gone) when (gone is WebSocketException or OperationCanceledException)
        {
            Broken(services.Logger, gone);
            return (WebSocketCloseStatus.ProtocolError, "The frames can not be read.");
        }
    }

    public void Dispose() => _sending.Dispose();

    private async Task ReceiveAsync(CancellationToken ct)
    {
        var frames = new FrameReader(socket, options, services.Time);
        while (await frames.ReadAsync(ct) is { } message)
        {
            string? reference = null;
            try
            {
                var frame = JsonSerializer.Deserialize<ClientFrame>(message.Span, FrameJson) ?? throw new JsonException();
                reference = frame.Ref is { Length: > 200 } ? throw ChatValidation.Invalid("ref", "ref has at most 200 characters.") : frame.Ref;
                await HandleAsync(frame, ct);
            }
            catch (ProblemException problem)
            {
                await SendAsync(new ErrorFrame { Ref = reference, Status = problem.Status, Code = problem.Code, Detail = problem.Message }, ct);
            }
            catch (Exception error) when (error is JsonException or NotSupportedException)
            {
                await SendAsync(new ErrorFrame { Status = StatusCodes.Status400BadRequest, Code = "invalid_frame", Detail = "The frame is not one of message, cancel, approval and ping." }, ct);
            }
        }
    }

    private Task HandleAsync(ClientFrame frame, CancellationToken ct) => frame switch
    {
        MessageFrame message => StartAsync(message, ct),
        CancelFrame cancel => CancelAsync(cancel, ct),
        ApprovalFrame approval => DecideAsync(approval, ct),
        _ => SendAsync(new PongFrame { Ref = frame.Ref }, ct),
    };

    private async Task StartAsync(MessageFrame frame, CancellationToken ct)
    {
        if (_following.Count >= options.MaxRuns)
            throw new ProblemException(StatusCodes.Status429TooManyRequests, "too_many_runs", $"One socket follows at most {options.MaxRuns} answers at a time.");
        services.Limits.TakeRun(caller);
        var ticket = await services.Starter.StartAsync(ChatValidation.Accept(frame.ToRequest(), caller.Owner, frame.IdempotencyKey), ct);
        var following = FollowAsync(ticket, frame.OnDisconnect, ct);
        _following[ticket.RunId] = following;
        if (following.IsCompleted)
            _following.TryRemove(ticket.RunId, out _);
    }

    private async Task CancelAsync(CancelFrame frame, CancellationToken ct)
    {
        if (frame is { RunId: { } run, ConversationId: null })
        {
            _ = await services.Store.FindAsync(caller.Owner, run, ct) ?? throw RunErrors.NotFound();
            await services.Control.StopAsync(caller.Owner, run, ct);
        }
        else if (frame is { RunId: null, ConversationId: { } conversation })
        {
            await services.Control.StopAllAsync(caller.Owner, conversation, ct);
        }
        else
        {
            throw ChatValidation.Invalid("runId", "Send either runId or conversationId.");
        }
    }

    private async Task DecideAsync(ApprovalFrame frame, CancellationToken ct)
    {
        if (frame.Arguments is { } edited && (edited.ValueKind != JsonValueKind.Object || frame.Decision != ApprovalChoice.Approve))
            throw ChatValidation.Invalid("arguments", "Arguments are a JSON object and come with approve only.");
        if (frame.CallId.Length > 200
            || await services.Approvals.DecideAsync(caller.Owner, frame.RunId, frame.CallId, frame.Decision, frame.Arguments, ct) is null)
            throw new ProblemException(StatusCodes.Status404NotFound, "not_found", "There is no such approval.");
    }

    private async Task FollowAsync(RunTicket ticket, OnDisconnect onDisconnect, CancellationToken ct)
    {
        await Task.Yield();
        try
        {
            using var reader = services.Streams.Read(caller.Owner, ticket);
            var events = new List<StoredEvent>();
            while (!reader.IsAtEnd)
            {
                events.Clear();
                await reader.ReadAsync(events, options.KeepAlive, ct);
                foreach (var evt in events)
                    await SendAsync(evt.Data, ct);
            }
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

    /// <summary>Completes when the sign-in has ended or the key was revoked: its sockets end as well.</summary>
    private async Task WatchAccessAsync(CancellationToken ct)
    {
        do
        {
            await Task.Delay(options.AccessCheck, services.Time, ct);
        }
        while (await services.Access.IsAllowedAsync(caller, ct));
    }

    private Task SendAsync(ServerFrame frame, CancellationToken ct) => SendAsync(JsonSerializer.SerializeToUtf8Bytes(frame, ContractJson.Options), ct);

    private async Task SendAsync(ReadOnlyMemory<byte> text, CancellationToken ct)
    {
        await _sending.WaitAsync(ct);
        try
        {
            await socket.SendAsync(text, WebSocketMessageType.Text, endOfMessage: true, ct);
        }
        finally
        {
            _sending.Release();
        }
    }

    private async Task CloseAsync(WebSocketCloseStatus status, string reason)
    {
        if (socket.State is not (WebSocketState.Open or WebSocketState.CloseReceived))
            return;
        using var limit = new CancellationTokenSource(CloseTimeout, services.Time);
        try
        {
            await socket.CloseOutputAsync(status, reason, limit.Token);
        }
        catch (Exception gone) when (gone is OperationCanceledException or WebSocketException)
        {
            Broken(services.Logger, gone);
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "A socket was closed: {Reason}")]
    private static partial void Refused(ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "A socket broke")]
    private static partial void Broken(ILogger logger, Exception error);
}
