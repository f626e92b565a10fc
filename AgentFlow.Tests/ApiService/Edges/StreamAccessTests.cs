using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Admin;
using AgentFlow.Contracts.Auth;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.Tests.ApiService.Rooms;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.ApiService.Sockets;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Edges;

/// <summary>What is open when somebody loses the right to it: streams and sockets are asked again while they last.</summary>
public sealed class StreamAccessTests : IClassFixture<HostileSocketTests.Talking>
{
    private readonly ApiHost _host;

    public StreamAccessTests(HostileSocketTests.Talking talking)
    {
        ArgumentNullException.ThrowIfNull(talking);
        _host = talking.Host;
        talking.Provider.Respond = _ => Script.SayThenStall("Half ", "of ", "it.");
    }

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_open_stream_is_cut_off_when_its_key_is_revoked_and_the_run_goes_on()
    {
        using var client = await _host.Admin.KeyClientAsync("chat");
        using var response = await AskAsync(client);
        var keys = await _host.Admin.Client.GetFromJsonAsync<Page<ApiKeySummary>>("/api/auth/keys", ContractJson.Options, Ct);

        var run = await CutOffAsync(response, async () => (await _host.Admin.Client.DeleteAsync($"/api/auth/keys/{keys!.Items[0].Id}", Ct)).Dispose());

        var state = await _host.Admin.Client.GetFromJsonAsync<RunState>($"/api/runs/{run}", ContractJson.Options, Ct);
        Assert.Equal(RunStatus.Running, state!.Status);
    }

    [Fact]
    public async Task A_disabled_account_loses_its_open_stream_its_socket_and_its_room()
    {
        var user = await _host.RegisterAsync();
        var room = await RoomReplicas.CreateAsync(user);
        using var chat = await SocketClient.OpenAsync(_host.Address, user.Client, "/ws/chat");
        using var inRoom = await SocketClient.OpenAsync(_host.Address, user.Client, $"/ws/rooms/{room.Id}");
        foreach (var socket in (SocketClient[])[chat, inRoom])
        {
            await socket.SendAsync("""{"type":"message","message":"Go on."}""");
            await socket.UntilAsync("message.delta");
        }

        using var response = await AskAsync(user.Client);

        await CutOffAsync(response, async () =>
        {
            using var disabled = await _host.Admin.Client.PatchAsJsonAsync($"/api/admin/users/{user.Id}", new AdminUserPatch { Disabled = true }, ContractJson.Options, Ct);
            Assert.Equal(HttpStatusCode.OK, disabled.StatusCode);
        });

        Assert.Equal(WebSocketCloseStatus.PolicyViolation, await chat.ClosedAsync());
        Assert.Equal(WebSocketCloseStatus.PolicyViolation, await inRoom.ClosedAsync());
    }

    private static async Task<HttpResponseMessage> AskAsync(HttpClient client)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, "/api/chat") { Content = JsonContent.Create(new ChatRequest { Message = "Go on." }, options: ContractJson.Options) };
        return await client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, Ct);
    }

    /// <summary>Takes the right away at the first event, and reads until the stream is cut.</summary>
    private static async Task<RunId?> CutOffAsync(HttpResponseMessage response, Func<Task> takeAway)
    {
        RunId? run = null;
        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await foreach (var evt in SseEvent.ReadAsync(response))
            {
                if (run is null)
                    await takeAway();
                run = evt.RunId;
            }
        });
        return run;
    }
}
