using System.Net;
using System.Net.WebSockets;
using System.Text;
using AgentFlow.Tests.ApiService.Rooms;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Sockets;

/// <summary>Rows 46, 47 and 50 of the bad-input matrix: who opens a socket, how, and what is done over it.</summary>
public sealed class HostileSocketTests(HostileSocketTests.Talking talking) : IClassFixture<HostileSocketTests.Talking>
{
    private const int Parallel = 1_000;
    private const int MaxRuns = 8;

    private readonly ApiHost host = talking.Host;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("/ws/chat")]
    [InlineData("/ws/rooms/{room}")]
    public async Task Row46_pages_of_others_and_those_that_hide_where_they_are_from_are_403(string path)
    {
        var user = await host.RegisterAsync();
        var ticket = await SocketClient.TicketAsync(user.Client);
        var target = $"{path.Replace("{room}", (await RoomReplicas.CreateAsync(user)).Id.ToString(), StringComparison.Ordinal)}?ticket={ticket}";
        var own = host.Address.GetLeftPart(UriPartial.Authority);
        foreach (var headers in new[]
        {
            "Origin: https://evil.example\r\n", "Origin: null\r\n", "Origin: \r\n", $"Origin: {own}.evil.example\r\n", $"Origin: https://{host.Address.Authority}\r\n", $"Origin: http://{host.Address.Host}\r\n",
            $"Origin: {own}\r\nOrigin: https://evil.example\r\n", $"Origin: https://evil.example\r\nX-Forwarded-Host: evil.example\r\n", "Cookie: agentflow_session=0123\r\n",
        })
        {
            var answer = await UpgradeAsync(target, headers);
            Assert.True(answer.Status == 403 && answer.Body.Contains("\"origin_not_allowed\"", StringComparison.Ordinal), $"{headers} {answer.Head} {answer.Body}");
        }

        // None of them has used the ticket up.
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Origin", own);
        await socket.ConnectAsync(new Uri($"ws://{host.Address.Authority}{target}"), Ct);
        Assert.Equal(WebSocketState.Open, socket.State);
    }

    [Fact]
    public async Task Row47_requests_that_are_no_upgrade_or_one_of_another_version_say_what_is_spoken()
    {
        foreach (var version in new[] { "8", "0", "14", "99", "x" })
        {
            var answer = await UpgradeAsync("/ws/chat?ticket=x", "", version);
            Assert.True(answer.Status == 426, $"{version}: {answer.Head}");
            Assert.Contains("Sec-WebSocket-Version: 13", answer.Head, StringComparison.OrdinalIgnoreCase);
            Assert.Contains("\"websocket_version\"", answer.Body, StringComparison.Ordinal);
        }

        foreach (var request in new[]
        {
            "GET /ws/chat?ticket=x HTTP/1.1\r\nHost: {host}\r\n\r\n",
            "GET /ws/chat?ticket=x HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            "GET /ws/chat?ticket=x HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
            "GET /ws/chat?ticket=x HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvcnQ=\r\n\r\n",
        })
        {
            var answer = await RawHttp.SendAsync(host.Address, request);
            Assert.True(answer.Status == 400, $"{request} {answer.Head}");
            Assert.Contains("\"not_a_websocket\"", answer.Body, StringComparison.Ordinal);
        }

        Assert.Equal(405, (await RawHttp.SendAsync(host.Address, "POST /ws/chat HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n")).Status);
    }

    [Fact]
    public async Task Row50_of_a_thousand_chats_on_one_socket_eight_are_answered_and_the_others_told_429()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        talking.Provider.Respond = _ => new Script { Steps = [new ScriptStep.Gate(open.Task), Sse.Text("Done."), Sse.Finish("stop"), Sse.Done] };
        var user = await host.RegisterAsync();
        using var socket = await SocketClient.OpenAsync(host.Address, user.Client, "/ws/chat");
        for (var i = 0; i < Parallel; i++)
            await socket.SendAsync("""{"type":"message","message":"And one more?"}""");
        await socket.SendAsync("""{"type":"ping"}""");
        await socket.UntilAsync("pong");
        open.SetResult();
        while (socket.Frames.Count(frame => SocketClient.TypeOf(frame) == "run.completed") < MaxRuns)
            await socket.UntilAsync("run.completed");

        var errors = socket.Frames.Where(frame => SocketClient.TypeOf(frame) == "error").ToList();
        Assert.Equal(Parallel - MaxRuns, errors.Count);
        Assert.All(errors, error => Assert.Equal((429, "too_many_runs"), (error.GetProperty("status").GetInt32(), error.GetProperty("code").GetString())));
        Assert.Equal(MaxRuns, await Sql.ScalarAsync<long>(host.ConnectionString, $"select count(*) from agentflow_api.runs where owner_id = '{user.Id}'"));
    }

    [Fact]
    public async Task Row50_a_message_before_the_ticket_was_accepted_starts_nothing()
    {
        var before = await RunsAsync();
        var message = MaskedText("""{"type":"message","message":"Nobody has let me in."}""");
        foreach (var target in new[] { "/ws/chat", "/ws/chat?ticket=", "/ws/chat?ticket=afw_nonsense", $"/ws/chat?ticket={host.Admin.Tokens.AccessToken}", $"/ws/rooms/{Guid.CreateVersion7()}?ticket=x" })
        {
            var answer = await RawHttp.SendAsync(host.Address, [.. Encoding.ASCII.GetBytes(Upgrade(target, "", "13")), .. message]);
            Assert.True(answer.Status == 401, $"{target} {answer.Head}");
        }

        Assert.Equal(before, await RunsAsync());
    }

    [Fact]
    public async Task Row50_a_socket_ends_with_the_token_that_opened_it_and_one_of_a_key_goes_on()
    {
        var clock = new ShiftedClock();
        await using var shifted = await ApiHost.StartAsync(talking.Settings(("Sockets:AccessCheck", "00:00:01")), builder => builder.Services.AddSingleton<TimeProvider>(clock));
        talking.Provider.Respond = _ => Script.SayThenStall("Still", " at it");
        var user = await shifted.RegisterAsync();
        string[] paths = ["/ws/chat", $"/ws/rooms/{(await RoomReplicas.CreateAsync(user)).Id}"];
        using var keyClient = await user.KeyClientAsync("chat");
        var (keyed, answering) = (new List<SocketClient>(), new List<SocketClient>());
        foreach (var path in paths)
        {
            keyed.Add(await SocketClient.OpenAsync(shifted.Address, keyClient, path));
            answering.Add(await SocketClient.OpenAsync(shifted.Address, user.Client, path));
            await answering[^1].SendAsync("""{"type":"message","message":"Will you be long?"}""");
            await answering[^1].UntilAsync("message.delta");
        }

        // Who waits for nothing is out at once; an answer may end, for less than a minute.
        using var idle = await SocketClient.OpenAsync(shifted.Address, user.Client, "/ws/chat");
        clock.Ahead = TimeSpan.FromMinutes(15.1);
        Assert.Equal(WebSocketCloseStatus.PolicyViolation, await idle.ClosedAsync().WaitAsync(Patience.Limit, Ct));
        foreach (var socket in answering)
        {
            await socket.SendAsync("""{"type":"ping"}""");
            await socket.UntilAsync("pong");
        }

        clock.Ahead = TimeSpan.FromMinutes(16);
        foreach (var socket in answering)
            Assert.Equal(WebSocketCloseStatus.PolicyViolation, await socket.ClosedAsync().WaitAsync(Patience.Limit, Ct));
        foreach (var socket in keyed)
        {
            await socket.SendAsync("""{"type":"ping"}""");
            await socket.UntilAsync("pong");
        }

        Assert.Equal(HttpStatusCode.Unauthorized, (await user.Client.PostAsync("/api/ws-ticket", null, Ct)).StatusCode);
        keyed.Concat(answering).ToList().ForEach(socket => socket.Dispose());
    }

    private Task<RawHttp> UpgradeAsync(string target, string headers, string version = "13") => RawHttp.SendAsync(host.Address, Upgrade(target, headers, version));

    private string Upgrade(string target, string headers, string version) =>
        $"GET {target} HTTP/1.1\r\nHost: {host.Address.Authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: {version}\r\n"
        + $"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n";

    private Task<long> RunsAsync() => Sql.ScalarAsync<long>(host.ConnectionString, "select count(*) from agentflow_api.runs");

    /// <summary>One whole frame of up to 125 bytes, masked with zeros.</summary>
    private static byte[] MaskedText(string text) => [0x81, (byte)(0x80 | text.Length), 0, 0, 0, 0, .. Encoding.ASCII.GetBytes(text)];

    /// <summary>The service with a model that waits until a test lets it speak.</summary>
    public sealed class Talking : IAsyncLifetime
    {
        internal ScriptedProvider Provider { get; private set; } = null!;

        internal ApiHost Host { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            Provider = await ScriptedProvider.StartAsync();
            Host = await ApiHost.StartAsync(Settings(("Sockets:FramesPerSecond", "100000"), ("Sockets:MaxRuns", $"{MaxRuns}")));
        }

        public async ValueTask DisposeAsync()
        {
            await Host.DisposeAsync();
            await Provider.DisposeAsync();
        }

        internal Dictionary<string, string?> Settings(params (string Key, string Value)[] own)
        {
            var settings = new Dictionary<string, string?>
            {
                ["Models:Providers:0:Name"] = "scripted", ["Models:Providers:0:Endpoint"] = Provider.Endpoint.ToString(), ["Models:Providers:0:ApiKey"] = "test-key", ["Models:Providers:0:Model"] = "scripted",
            };
            foreach (var (key, value) in own)
                settings[key] = value;
            return settings;
        }
    }
}
