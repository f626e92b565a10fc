using System.Buffers;
using System.Net.WebSockets;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Rooms;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Web.Api;

/// <summary>
/// One connection to a room. Every connection begins with a snapshot of the whole room, so a lost one is simply made again. What comes is a
/// <see cref="ServerFrame"/> or a <see cref="RunEvent"/>; other types are skipped.
/// </summary>
internal sealed class RoomSocket : IAsyncDisposable
{
    private const int MostBytes = 16 * 1024 * 1024;

    private static readonly HashSet<string> FrameTypes = TypesOf(typeof(ServerFrame));
    private static readonly HashSet<string> EventTypes = TypesOf(typeof(RunEvent));
    private static readonly JsonSerializerOptions Json = new(ContractJson.Lenient) { AllowOutOfOrderMetadataProperties = true };

    private readonly ClientWebSocket _socket = new();
    private readonly SemaphoreSlim _sending = new(1, 1);

    /// <exception cref="ApiException">The API refused the ticket or is not there.</exception>
    /// <exception cref="WebSocketException">The API refused the room or broke the connection.</exception>
    public static async Task<RoomSocket> OpenAsync(ApiClient api, RoomId room, CancellationToken cancellationToken)
    {
        var ticket = await api.SendAsync<SocketTicket>(HttpMethod.Post, "api/ws-ticket", null, null, cancellationToken);
        var opened = new RoomSocket();
        try
        {
            await api.ConnectAsync(opened._socket, $"ws/rooms/{room}?ticket={Uri.EscapeDataString(ticket.Ticket)}", cancellationToken);
            return opened;
        }
        catch
        {
            await opened.DisposeAsync();
            throw;
        }
    }

    /// <summary>Ends when the API closes the connection.</summary>
    public async IAsyncEnumerable<object> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var buffer = new ArrayBufferWriter<byte>(16 * 1024);
        while (_socket.State is WebSocketState.Open)
        {
            var part = await _socket.ReceiveAsync(buffer.GetMemory(16 * 1024), cancellationToken);
            if (part.MessageType is WebSocketMessageType.Close || buffer.WrittenCount + part.Count > MostBytes)
                yield break;
            buffer.Advance(part.Count);
            if (!part.EndOfMessage)
                continue;
            if (Parse(buffer.WrittenSpan) is { } frame)
                yield return frame;
            buffer.Clear();
        }
    }

    public async Task SendAsync(ClientFrame frame, CancellationToken cancellationToken)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(frame, ContractJson.Options);
        await _sending.WaitAsync(cancellationToken);
        try
        {
            await _socket.SendAsync(json, WebSocketMessageType.Text, endOfMessage: true, cancellationToken);
        }
        finally
        {
            _sending.Release();
        }
    }

    public ValueTask DisposeAsync()
    {
        _socket.Dispose();
        _sending.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary><c>{"type":"presence","online":["0199..."]}</c></summary>
    internal static object? Parse(ReadOnlySpan<byte> json)
    {
        using var document = JsonDocument.Parse(json.ToArray());
        var type = document.RootElement.TryGetProperty("type", out var named) ? named.GetString() ?? "" : "";
        return FrameTypes.Contains(type) ? document.RootElement.Deserialize<ServerFrame>(Json)
            : EventTypes.Contains(type) ? document.RootElement.Deserialize<RunEvent>(Json)
            : null;
    }

    private static HashSet<string> TypesOf(Type family) => family.GetCustomAttributes(typeof(JsonDerivedTypeAttribute), inherit: false)
        .Cast<JsonDerivedTypeAttribute>().Select(known => known.TypeDiscriminator as string ?? "").ToHashSet(StringComparer.Ordinal);
}
