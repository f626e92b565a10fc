using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using AgentFlow.Tests.ApiService.Rooms;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Edges;

/// <summary>How many may be connected, and how those who are learn that the process goes.</summary>
public sealed class ConnectionTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task WebSockets_over_the_cap_are_told_to_come_back_and_those_that_are_open_go_on()
    {
        await using var host = await ApiHost.StartAsync(new() { ["Limits:WebSockets"] = "2" });
        var room = await RoomReplicas.CreateAsync(host.Admin);
        using var first = await SocketClient.OpenAsync(host.Address, host.Admin.Client, "/ws/chat");
        using var second = await SocketClient.OpenAsync(host.Address, host.Admin.Client, $"/ws/rooms/{room.Id}");
        foreach (var path in new[] { "/ws/chat", $"/ws/rooms/{room.Id}" })
        {
            var answer = await RawHttp.SendAsync(
                host.Address, $"GET {path}?ticket={await SocketClient.TicketAsync(host.Admin.Client)} HTTP/1.1\r\nHost: {{host}}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
            Assert.True(answer.Status == 503 && answer.Body.Contains("\"too_many_sockets\"", StringComparison.Ordinal), $"{answer.Head} {answer.Body}");
            Assert.Contains("Retry-After: ", answer.Head, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain("Sec-WebSocket-Accept", answer.Head, StringComparison.OrdinalIgnoreCase);
        }

        foreach (var socket in new[] { first, second })
        {
            await socket.SendAsync("""{"type":"ping"}""");
            await socket.UntilAsync("pong");
        }

        await first.CloseAsync();
        await Patience.UntilAsync(
            async () =>
            {
                try
                {
                    using var next = await SocketClient.OpenAsync(host.Address, host.Admin.Client, "/ws/chat");
                    return true;
                }
                catch (WebSocketException)
                {
                    return false;
                }
            },
            "room for another socket");
    }

    /// <summary>A stream, two kinds of sockets and a long task's events are open when the process is told to stop.</summary>
    [Fact]
    public async Task A_stop_tells_every_stream_and_socket_takes_nobody_new_and_ends_with_0()
    {
        await using var provider = await ScriptedProvider.StartAsync();
        provider.Respond = _ => Script.SayThenStall("One", " moment");
        var database = await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Api);
        await using var api = await ApiProcess.StartAsync(
            database,
            new Dictionary<string, string>(StringComparer.Ordinal) { ["Models:Providers:0:Endpoint"] = provider.Endpoint.ToString(), ["Models:Providers:0:Model"] = "scripted", ["Models:Providers:0:ApiKey"] = "k" },
            Ct);
        using var client = api.Client();
        using var response = await RunsHost.ChatAsync(client, new() { Message = "Will you be long?" });
        var events = SseEvent.ReadAsync(response).GetAsyncEnumerator(Ct);
        while (await events.MoveNextAsync() && events.Current.Type != "message.delta")
        {
        }

        using var made = await client.PostAsync("/api/rooms", new StringContent("""{"name":"Harbour"}""", System.Text.Encoding.UTF8, "application/json"), Ct);
        var room = System.Text.Json.JsonElement.Parse(await made.Content.ReadAsStringAsync(Ct)).GetProperty("id").GetString();
        using var chat = await SocketClient.OpenAsync(api.Address, client, "/ws/chat");
        using var silent = await SocketClient.OpenAsync(api.Address, client, "/ws/chat");
        using var rooms = await SocketClient.OpenAsync(api.Address, client, $"/ws/rooms/{room}");
        foreach (var socket in new[] { chat, rooms })
        {
            await socket.SendAsync("""{"type":"message","message":"And here?"}""");
            await socket.UntilAsync("message.delta");
        }

        var ending = api.TerminateAsync(Ct);

        var last = "";
        while (await events.MoveNextAsync())
            last = events.Current.Type;
        Assert.Equal("run.interrupted", last);
        foreach (var socket in new[] { chat, silent, rooms })
            Assert.Equal(WebSocketCloseStatus.EndpointUnavailable, await socket.ClosedAsync().WaitAsync(Patience.Limit, Ct));
        Assert.Contains(chat.Frames, frame => SocketClient.TypeOf(frame) == "run.interrupted");
        Assert.Contains(rooms.Frames, frame => SocketClient.TypeOf(frame) == "run.interrupted");
        Assert.Equal(0, await ending);
        using var late = new TcpClient();
        await Assert.ThrowsAsync<SocketException>(() => late.ConnectAsync(IPAddress.Loopback, api.Address.Port, Ct).AsTask());
        Assert.Equal(0L, await Sql.ScalarAsync<long>(database, "select count(*) from agentflow_api.runs where ended_at is null"));
    }
}
