using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;

namespace AgentFlow.Tests.Support;

/// <summary>A WebSocket of a test's own: what came is kept, and waited for without regard to time.</summary>
internal sealed class SocketClient : IDisposable
{
    private readonly ClientWebSocket socket = new();
    private readonly List<JsonElement> frames = [];

    private SocketClient() => socket.Options.CollectHttpResponseDetails = true;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>All frames that were read, in their order.</summary>
    public IReadOnlyList<JsonElement> Frames => frames;

    public WebSocketCloseStatus? CloseStatus => socket.CloseStatus;

    public static async Task<SocketClient> OpenAsync(Uri host, HttpClient caller, string path)
    {
        var client = new SocketClient();
        await client.socket.ConnectAsync(new Uri($"ws://{host.Authority}{path}?ticket={await TicketAsync(caller)}"), Ct);
        return client;
    }

    /// <returns>The status of the refused upgrade.</returns>
    public static async Task<HttpStatusCode> RefusedAsync(Uri host, HttpClient caller, string path)
    {
        using var client = new SocketClient();
        var ticket = await TicketAsync(caller);
        await Assert.ThrowsAsync<WebSocketException>(() => client.socket.ConnectAsync(new Uri($"ws://{host.Authority}{path}?ticket={ticket}"), Ct));
        return client.socket.HttpStatusCode;
    }

    public Task SendAsync(object frame) => SendAsync(JsonSerializer.Serialize(frame, ContractJson.Options));

    public Task SendAsync(string text) => socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, Ct);

    /// <summary>Reads until a frame of this type, and this kind, comes.</summary>
    public async Task<JsonElement> UntilAsync(string type, Func<JsonElement, bool>? matches = null)
    {
        while (true)
        {
            var frame = await ReadAsync() ?? throw new InvalidOperationException($"The socket was closed before {type}: {socket.CloseStatus} {socket.CloseStatusDescription}");
            if (TypeOf(frame) == type && matches?.Invoke(frame) is not false)
                return frame;
        }
    }

    /// <summary>Reads until the server closes.</summary>
    public async Task<WebSocketCloseStatus?> ClosedAsync()
    {
        while (await ReadAsync() is not null)
        {
        }

        return socket.CloseStatus;
    }

    public Task CloseAsync() => socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, Ct);

    public static string TypeOf(JsonElement frame) => frame.GetProperty("type").GetString()!;

    public void Dispose() => socket.Dispose();

    public static async Task<string> TicketAsync(HttpClient caller)
    {
        using var response = await caller.PostAsync("/api/ws-ticket", null, Ct);
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<SocketTicket>(ContractJson.Options, Ct))!.Ticket;
    }

    private async Task<JsonElement?> ReadAsync()
    {
        var bytes = new List<byte>();
        var buffer = new byte[8_192];
        WebSocketReceiveResult result;
        do
        {
            result = await socket.ReceiveAsync(buffer, Ct);
            if (result.MessageType == WebSocketMessageType.Close)
                return null;
            bytes.AddRange(buffer.AsSpan(0, result.Count));
        }
        while (!result.EndOfMessage);
        frames.Add(JsonElement.Parse(bytes.ToArray()));
        return frames[^1];
    }
}
