using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Rooms;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Rooms;

/// <summary>Two replicas of the API on one database, with the memory service and a scripted provider. Tokens of one are good for the other.</summary>
public sealed class RoomReplicas : IAsyncLifetime
{
    internal ScriptedProvider Provider { get; private set; } = null!;

    public ApiHost First { get; private set; } = null!;

    public ApiHost Second { get; private set; } = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Provider = await ScriptedProvider.StartAsync();
        var settings = new Dictionary<string, string?>
        {
            // For chats only, or the memory service would take facts out with it and use up scripts.
            ["Models:Providers:0:Roles:0"] = "chat",
            ["Models:Providers:0:Name"] = "scripted",
            ["Models:Providers:0:Endpoint"] = Provider.Endpoint.ToString(),
            ["Models:Providers:0:ApiKey"] = "test-key",
            ["Models:Providers:0:Model"] = "scripted",
            ["Recall:Deadline"] = "00:00:30",
            ["Rooms:Look"] = "00:00:00.5",
            ["Rooms:PresenceLife"] = "00:05:00",
            ["Test:Memory"] = "yes",
        };
        First = await ApiHost.StartAsync(settings);
        var second = new Dictionary<string, string?>(settings) { ["ConnectionStrings:agentflow-api"] = First.ConnectionString, ["Test:NoAdmin"] = "yes" };
        second.Remove("Test:Memory");
        Second = await ApiHost.StartAsync(second);
    }

    public async ValueTask DisposeAsync()
    {
        await Second.DisposeAsync();
        await First.DisposeAsync();
        await Provider.DisposeAsync();
    }

    internal static async Task<Room> CreateAsync(TestUser owner, string name = "Harbour")
    {
        using var response = await owner.Client.PostAsJsonAsync("/api/rooms", new CreateRoomRequest(name), ContractJson.Options, Ct);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Ct));
        return (await response.Content.ReadFromJsonAsync<Room>(ContractJson.Options, Ct))!;
    }

    internal static Task<HttpResponseMessage> InviteAsync(TestUser owner, Room room, TestUser member, RoomRole role = RoomRole.Member) =>
        owner.Client.PostAsJsonAsync($"/api/rooms/{room.Id}/members", new RoomMemberRequest { UserId = member.Id, Role = role }, ContractJson.Options, Ct);

    /// <summary>The replica is another one than where the account was made, so that both are met.</summary>
    internal static Task<SocketClient> EnterAsync(ApiHost replica, TestUser member, Room room) =>
        SocketClient.OpenAsync(replica.Address, member.Client, $"/ws/rooms/{room.Id}");
}
