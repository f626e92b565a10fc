using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Sockets;

public sealed class ChatSocketTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Talking_over_a_socket_streams_the_runs_events()
    {
        using var socket = await OpenAsync(host.Admin);
        await SendAsync(socket, """{"type":"ping","ref":"p1"}""");
        Assert.Equal("p1", (await ReadAsync(socket)).GetProperty("ref").GetString());

        await SendAsync(socket, """{"type":"message","message":"hello"}""");
        var frames = new List<JsonElement>();
        do
        {
            frames.Add(await ReadAsync(socket));
        }
        while (!frames[^1].GetProperty("type").GetString()!.StartsWith("run.completed", StringComparison.Ordinal));

        Assert.Equal("run.started", frames[0].GetProperty("type").GetString());
        Assert.Equal(Enumerable.Range(1, frames.Count), frames.Select(frame => frame.GetProperty("seq").GetInt32()));
        await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, null, Ct);
        Assert.Equal(WebSocketState.Closed, socket.State);
    }

    [Theory]
    [InlineData("{", 400, "invalid_frame")]
    [InlineData("""{"type":"shout"}""", 400, "invalid_frame")]
    [InlineData("""{"type":"message","message":""}""", 400, "invalid_request")]
    [InlineData("""{"type":"message","message":"a","isAdmin":true}""", 400, "invalid_frame")]
    [InlineData("""{"type":"message","message":"a","conversationId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d"}""", 404, "not_found")]
    [InlineData("""{"type":"cancel"}""", 400, "invalid_request")]
    [InlineData("""{"type":"cancel","runId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d"}""", 404, "not_found")]
    [InlineData("""{"type":"approval","runId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d","callId":"c","decision":"approve"}""", 404, "not_found")]
    public async Task A_frame_that_can_not_be_meant_is_an_error_and_the_socket_stays_open(string frame, int status, string code)
    {
        using var socket = await OpenAsync(host.Admin);
        await SendAsync(socket, frame);
        var error = await ReadAsync(socket);
        await SendAsync(socket, """{"type":"ping"}""");

        Assert.Equal(("error", status, code), (error.GetProperty("type").GetString(), error.GetProperty("status").GetInt32(), error.GetProperty("code").GetString()));
        Assert.Equal(32, error.GetProperty("traceId").GetString()!.Length);
        Assert.Equal("pong", (await ReadAsync(socket)).GetProperty("type").GetString());
    }

    [Fact]
    public async Task A_ticket_opens_one_socket_and_only_with_a_page_of_ours()
    {
        var ticket = await TicketAsync(host.Admin);
        using var first = await ConnectAsync(ticket);

        Assert.Equal(HttpStatusCode.Unauthorized, await RefusalAsync(ticket));
        Assert.Equal(HttpStatusCode.Unauthorized, await RefusalAsync("afw_nonsense"));
        Assert.Equal(HttpStatusCode.Unauthorized, await RefusalAsync(""));
        Assert.Equal(HttpStatusCode.Forbidden, await RefusalAsync(await TicketAsync(host.Admin), "https://evil.example"));
        using var plain = await host.Client().GetAsync($"/ws/chat?ticket={ticket}", Ct);
        Assert.Equal(HttpStatusCode.BadRequest, plain.StatusCode);
        using var anonymous = await host.Client().PostAsync("/api/ws-ticket", null, Ct);
        Assert.Equal(HttpStatusCode.Unauthorized, anonymous.StatusCode);
        using var own = await ConnectAsync(await TicketAsync(host.Admin), host.Address.GetLeftPart(UriPartial.Authority));
        Assert.Equal(WebSocketState.Open, own.State);
    }

    [Fact]
    public async Task Signing_out_everywhere_ends_the_socket()
    {
        var user = await host.RegisterAsync();
        using var socket = await OpenAsync(user);
        using var response = await user.Client.PostAsync("/api/auth/logout-all", null, Ct);
        response.EnsureSuccessStatusCode();

        Assert.Equal(WebSocketCloseStatus.PolicyViolation, await CloseOfAsync(socket));
    }

    private static async Task<WebSocketCloseStatus?> CloseOfAsync(ClientWebSocket socket)
    {
        var buffer = new byte[4_096];
        while ((await socket.ReceiveAsync(buffer, Ct)).MessageType != WebSocketMessageType.Close)
        {
        }

        return socket.CloseStatus;
    }

    private async Task<HttpStatusCode> RefusalAsync(string ticket, string? origin = null)
    {
        using var socket = Create(origin);
        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(AddressOf(ticket, host), Ct));
        return socket.HttpStatusCode;
    }

    private async Task<ClientWebSocket> OpenAsync(TestUser user, ApiHost? at = null) => await ConnectAsync(await TicketAsync(user), at: at);

    private async Task<ClientWebSocket> ConnectAsync(string ticket, string? origin = null, ApiHost? at = null)
    {
        var socket = Create(origin);
        await socket.ConnectAsync(AddressOf(ticket, at ?? host), Ct);
        return socket;
    }

    private static ClientWebSocket Create(string? origin)
    {
        var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        if (origin is not null)
            socket.Options.SetRequestHeader("Origin", origin);
        return socket;
    }

    private static Uri AddressOf(string ticket, ApiHost host) => new($"ws://{host.Address.Authority}/ws/chat?ticket={ticket}");

    private static async Task<string> TicketAsync(TestUser user)
    {
        using var response = await user.Client.PostAsync("/api/ws-ticket", null, Ct);
        response.EnsureSuccessStatusCode();
        return (await response.Content.ReadFromJsonAsync<SocketTicket>(ContractJson.Options, Ct))!.Ticket;
    }

    private static Task SendAsync(ClientWebSocket socket, string text) => socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, Ct);

    private static async Task<JsonElement> ReadAsync(ClientWebSocket socket)
    {
        var bytes = new List<byte>();
        var buffer = new byte[4_096];
        WebSocketReceiveResult result;
        do
        {
            result = await socket.ReceiveAsync(buffer, Ct);
            bytes.AddRange(buffer.AsSpan(0, result.Count));
        }
        while (!result.EndOfMessage);
        return JsonElement.Parse(bytes.ToArray());
    }
}
