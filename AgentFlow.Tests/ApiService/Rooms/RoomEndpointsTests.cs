using System.Net;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Rooms;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.Support;
using static AgentFlow.Tests.ApiService.Rooms.RoomReplicas;

namespace AgentFlow.Tests.ApiService.Rooms;

public sealed class RoomEndpointsTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Members_see_a_room_with_their_role_and_nobody_else_sees_it()
    {
        var (ada, bob, eve) = (await host.RegisterAsync("ada"), await host.RegisterAsync("bob"), await host.RegisterAsync("eve"));
        var room = await CreateAsync(ada, "Pilots");
        using var invited = await ada.Client.PostAsJsonAsync(
            $"/api/rooms/{room.Id}/members", new RoomMemberRequest { Email = bob.Email.ToUpperInvariant(), Role = RoomRole.Viewer }, ContractJson.Options, Ct);
        Assert.Equal(HttpStatusCode.OK, invited.StatusCode);

        var mine = await ada.Client.GetFromJsonAsync<Room>($"/api/rooms/{room.Id}", ContractJson.Options, Ct);
        var his = Assert.Single((await bob.Client.GetFromJsonAsync<Page<Room>>("/api/rooms", ContractJson.Options, Ct))!.Items);
        var members = (await bob.Client.GetFromJsonAsync<Page<RoomMember>>($"/api/rooms/{room.Id}/members", ContractJson.Options, Ct))!.Items;

        Assert.Equal((RoomRole.Owner, 2, "Pilots", "default"), (mine!.Role, mine.Members, mine.Name, mine.Agent));
        Assert.Equal((room.Id, RoomRole.Viewer), (his.Id, his.Role));
        Assert.Equal([(ada.Id, RoomRole.Owner, false), (bob.Id, RoomRole.Viewer, false)], members.Select(member => (member.UserId, member.Role, member.IsOnline)));
        Assert.Empty((await eve.Client.GetFromJsonAsync<Page<Room>>("/api/rooms", ContractJson.Options, Ct))!.Items);
        Assert.Empty((await ada.Client.GetFromJsonAsync<Page<ConversationSummary>>("/api/chat", ContractJson.Options, Ct))!.Items);
        foreach (var path in new[] { "", "/members", "/messages" })
        {
            using var foreign = await eve.Client.GetAsync($"/api/rooms/{room.Id}{path}", Ct);
            using var own = await bob.Client.GetAsync($"/api/rooms/{room.Id}{path}", Ct);
            Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.OK), (foreign.StatusCode, own.StatusCode));
        }

        using var intrusion = await InviteAsync(eve, room, eve);
        using var socket = await host.Client().GetAsync($"/ws/rooms/{room.Id}", Ct);
        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.BadRequest), (intrusion.StatusCode, socket.StatusCode));
        Assert.Equal(HttpStatusCode.NotFound, await SocketClient.RefusedAsync(host.Address, eve.Client, $"/ws/rooms/{room.Id}"));
        using var entered = await EnterAsync(host, bob, room);
        Assert.Equal("Pilots", (await entered.UntilAsync("snapshot")).GetProperty("room").GetProperty("name").GetString());
    }

    [Fact]
    public async Task Only_owners_change_a_room_and_one_owner_is_always_left()
    {
        var (ada, bob) = (await host.RegisterAsync("ada"), await host.RegisterAsync("bob"));
        var room = await CreateAsync(ada);
        (await InviteAsync(ada, room, bob)).Dispose();
        using var patch = await bob.Client.PatchAsJsonAsync($"/api/rooms/{room.Id}", new PatchRoomRequest { Name = "Mine" }, ContractJson.Options, Ct);
        using var removal = await bob.Client.DeleteAsync($"/api/rooms/{room.Id}/members/{ada.Id}", Ct);
        using var deletion = await bob.Client.DeleteAsync($"/api/rooms/{room.Id}", Ct);
        using var leaving = await ada.Client.DeleteAsync($"/api/rooms/{room.Id}/members/{ada.Id}", Ct);
        using var demotion = await InviteAsync(ada, room, ada, RoomRole.Member);
        Assert.All([patch, removal, deletion], response => Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode));
        Assert.All([leaving, demotion], response => Assert.Equal(HttpStatusCode.Conflict, response.StatusCode));

        (await InviteAsync(ada, room, bob, RoomRole.Owner)).Dispose();
        using var left = await ada.Client.DeleteAsync($"/api/rooms/{room.Id}/members/{ada.Id}", Ct);
        using var renamed = await bob.Client.PatchAsJsonAsync($"/api/rooms/{room.Id}", new PatchRoomRequest { Name = "Quay" }, ContractJson.Options, Ct);
        var now = await renamed.Content.ReadFromJsonAsync<Room>(ContractJson.Options, Ct);

        Assert.Equal(HttpStatusCode.NoContent, left.StatusCode);
        Assert.Equal(("Quay", 1, RoomRole.Owner), (now!.Name, now.Members, now.Role));
    }

    [Fact]
    public async Task A_deleted_room_leaves_nothing_and_ends_its_sockets()
    {
        var ada = await host.RegisterAsync("ada");
        var room = await CreateAsync(ada);
        using var socket = await EnterAsync(host, ada, room);
        await socket.SendAsync("""{"type":"message","message":"Is anybody here?"}""");
        await socket.UntilAsync("run.completed");

        using var response = await ada.Client.DeleteAsync($"/api/rooms/{room.Id}", Ct);

        Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
        Assert.NotNull(await socket.ClosedAsync());
        foreach (var table in new[] { "rooms", "room_members", "room_events", "conversations", "messages", "runs", "run_events" })
            Assert.Equal(0, await Sql.ScalarAsync<long>(host.ConnectionString, $"select count(*) from agentflow_api.{table} where owner_id = '{room.Id}'"));
    }

    [Fact]
    public async Task Requests_that_can_not_be_meant_are_refused()
    {
        var ada = await host.RegisterAsync("ada");
        var room = await CreateAsync(ada);
        using var nameless = await ada.Client.PostAsJsonAsync("/api/rooms", new CreateRoomRequest(" "), ContractJson.Options, Ct);
        using var longName = await ada.Client.PostAsJsonAsync("/api/rooms", new CreateRoomRequest(new string('x', 101)), ContractJson.Options, Ct);
        using var noAgent = await ada.Client.PostAsJsonAsync("/api/rooms", new CreateRoomRequest("x", "nobody"), ContractJson.Options, Ct);
        using var nobody = await ada.Client.PostAsJsonAsync($"/api/rooms/{room.Id}/members", new RoomMemberRequest { UserId = OwnerId.New() }, ContractJson.Options, Ct);
        using var neither = await ada.Client.PostAsJsonAsync($"/api/rooms/{room.Id}/members", new RoomMemberRequest(), ContractJson.Options, Ct);
        using var order = await ada.Client.GetAsync($"/api/rooms/{room.Id}/messages?order=up", Ct);
        using var cursor = await ada.Client.GetAsync("/api/rooms?cursor=nonsense", Ct);

        Assert.Equal(
            [HttpStatusCode.BadRequest, HttpStatusCode.BadRequest, HttpStatusCode.NotFound, HttpStatusCode.NotFound, HttpStatusCode.BadRequest, HttpStatusCode.BadRequest, HttpStatusCode.BadRequest],
            new[] { nameless, longName, noAgent, nobody, neither, order, cursor }.Select(response => response.StatusCode));
    }

    [Fact]
    public async Task A_repeated_creation_makes_one_room()
    {
        var ada = await host.RegisterAsync("ada");
        var ids = new List<RoomId>();
        for (var i = 0; i < 2; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/api/rooms") { Content = JsonContent.Create(new CreateRoomRequest("Once"), options: ContractJson.Options) };
            request.Headers.Add("Idempotency-Key", "room-1");
            using var response = await ada.Client.SendAsync(request, Ct);
            ids.Add((await response.Content.ReadFromJsonAsync<Room>(ContractJson.Options, Ct))!.Id);
        }

        Assert.Equal(ids[0], ids[1]);
        Assert.Single((await ada.Client.GetFromJsonAsync<Page<Room>>("/api/rooms", ContractJson.Options, Ct))!.Items);
    }
}
