using System.Diagnostics;
using System.Net.WebSockets;
using System.Text.Json;
using AgentFlow.ApiService.Chat;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Sockets;

/// <summary>
/// The two directions of a WebSocket: frames are taken one after another, whole frames are sent one at a time, and whatever ends the
/// talk is told by a close with its reason.
/// </summary>
internal sealed partial class SocketLink(WebSocket socket, TimeProvider time, ILogger logger) : IDisposable
{
    private static readonly TimeSpan CloseTimeout = TimeSpan.FromSeconds(1);
    private static readonly JsonSerializerOptions FrameJson = new(ContractJson.Options) { AllowOutOfOrderMetadataProperties = true };
    private readonly SemaphoreSlim _sending = new(1, 1);

    /// <summary>Until the client goes, until <paramref name="lose"/> completes, or until the process drains.</summary>
    /// <param name="handle">One frame; what it throws as a problem becomes an error frame.</param>
    /// <param name="lose">Completes, with the reason for the client, when it may no longer be here.</param>
    /// <param name="drain">Completes when the last events are out.</param>
    /// <param name="aborted">The connection is gone.</param>
    /// <param name="stopping">The process is going.</param>
    public async Task RunAsync(
        Func<ClientFrame, CancellationToken, Task> handle, Func<CancellationToken, Task<string>> lose, Func<Task> drain, CancellationToken aborted, CancellationToken stopping)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(aborted);

        // Cancelling a receive aborts the socket, and then nothing could be said any more: so it is left alone until the close is out.
        var receiving = ReceiveAsync(handle, ending.Token);
        var losing = lose(ending.Token);
        await Task.WhenAny(receiving, losing, Task.Delay(Timeout.Infinite, stopping));
        var (status, reason) = (WebSocketCloseStatus.EndpointUnavailable, "This server is being stopped.");
        if (receiving.IsCompleted)
            (status, reason) = await EndOfAsync(receiving);
        else if (losing.IsCompleted)
            (status, reason) = (WebSocketCloseStatus.PolicyViolation, losing.IsCompletedSuccessfully ? await losing : "Access can not be checked.");
        else
            await drain().WaitAsync(CloseTimeout * 4, time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await CloseAsync(status, reason);

        // A moment for the client's own close; cutting it off at once could take ours away with it.
        await receiving.WaitAsync(CloseTimeout, time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await ending.CancelAsync();
        await Task.WhenAll(receiving, losing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task SendAsync(ServerFrame frame, CancellationToken ct) => SendAsync(JsonSerializer.SerializeToUtf8Bytes(frame, ContractJson.Options), ct);

    public async Task SendAsync(ReadOnlyMemory<byte> text, CancellationToken ct)
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

    public void Dispose() => _sending.Dispose();

    private async Task ReceiveAsync(Func<ClientFrame, CancellationToken, Task> handle, CancellationToken ct)
    {
        var frames = new FrameReader(socket);
        while (await frames.ReadAsync(ct) is { } message)
        {
            string? reference = null;
            try
            {
                var frame = JsonSerializer.Deserialize<ClientFrame>(message.Span, FrameJson) ?? throw new JsonException();
                reference = frame.Ref is { Length: > 200 } ? throw ChatValidation.Invalid("ref", "ref has at most 200 characters.") : frame.Ref;
                await handle(frame, ct);
            }
            catch (ProblemException problem)
            {
                await SendAsync(new ErrorFrame { Ref = reference, Status = problem.Status, Code = problem.Code, Detail = problem.Message, TraceId = Activity.Current?.TraceId.ToString() }, ct);
            }
            catch (Exception error) when (error is JsonException or NotSupportedException)
            {
                await SendAsync(
                    new ErrorFrame { Status = StatusCodes.Status400BadRequest, Code = "invalid_frame", Detail = "The frame is not one of message, cancel, context.add, approval and ping.", TraceId = Activity.Current?.TraceId.ToString() }, ct);
            }
        }
    }

    /// <summary>What the client is told about why nothing more is read.</summary>
    private async Task<(WebSocketCloseStatus Status, string Reason)> EndOfAsync(Task receiving)
    {
        try
        {
            await receiving;

            // A client's own status, and a refusal's, is said back: RFC 6455 section 5.5.1.
            return (socket.CloseStatus ?? WebSocketCloseStatus.NormalClosure, socket.CloseStatusDescription ?? "");
        }
        catch (Exception gone) when (gone is WebSocketException or OperationCanceledException)
        {
            LogBroken(logger, gone);
            return (WebSocketCloseStatus.ProtocolError, "The frames can not be read.");
        }
    }

    private async Task CloseAsync(WebSocketCloseStatus status, string reason)
    {
        if (socket.State is not (WebSocketState.Open or WebSocketState.CloseReceived))
            return;
        using var limit = new CancellationTokenSource(CloseTimeout, time);
        try
        {
            await socket.CloseOutputAsync(status, reason, limit.Token);
        }
        catch (Exception gone) when (gone is OperationCanceledException or WebSocketException)
        {
            LogBroken(logger, gone);
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "A socket broke")]
    private static partial void LogBroken(ILogger logger, Exception error);
}
