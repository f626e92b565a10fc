using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Documents;
using AgentFlow.Contracts.Memories;
using AgentFlow.Contracts.Rooms;
using AgentFlow.Tests.ApiService.Documents;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using static AgentFlow.Tests.ApiService.Rooms.RoomReplicas;

namespace AgentFlow.Tests.ApiService.Rooms;

/// <summary>Several people, one agent, two replicas.</summary>
public sealed class RoomSocketTests(RoomReplicas replicas) : IClassFixture<RoomReplicas>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_said_on_one_replica_is_told_on_the_other_and_late_joiners_go_on_from_a_snapshot()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var two = await TogetherAsync();
        var (ada, bob, room, adas, bobs) = (two.Ada, two.Bob, two.Room, two.Adas, two.Bobs);
        Assert.Empty((await bobs.UntilAsync("snapshot")).GetProperty("messages").EnumerateArray());
        await SeesAsync(adas, 2);

        replicas.Provider.Enqueue(new Script { Steps = [Sse.Text("The tide "), new ScriptStep.Gate(gate.Task), Sse.Text("turns at six."), Sse.Finish("stop"), Sse.Done] });
        await adas.SendAsync("""{"type":"message","message":"When does the tide turn?"}""");
        var told = (await bobs.UntilAsync("message.added")).GetProperty("message");
        await bobs.UntilAsync("message.delta");

        var late = await replicas.First.RegisterAsync("cleo");
        (await InviteAsync(ada, room, late, RoomRole.Viewer)).Dispose();
        using var cleos = await EnterAsync(replicas.Second, late, room);
        var snapshot = await cleos.UntilAsync("snapshot");
        gate.SetResult();
        var completed = await cleos.UntilAsync("run.completed");
        await bobs.UntilAsync("run.completed");

        Assert.Equal(("When does the tide turn?", ada.Id.ToString()), (told.GetProperty("content").GetString(), told.GetProperty("authorId").GetString()));
        Assert.Equal(ada.Tokens.User.DisplayName, told.GetProperty("author").GetString());
        Assert.Equal("When does the tide turn?", Assert.Single(snapshot.GetProperty("messages").EnumerateArray()).GetProperty("content").GetString());
        Assert.Single(snapshot.GetProperty("runs").EnumerateArray());
        Assert.Equal("The tide turns at six.", completed.GetProperty("text").GetString());
        Assert.Equal("The tide turns at six.", string.Concat(cleos.Frames.Where(f => SocketClient.TypeOf(f) == "message.delta").Select(f => f.GetProperty("text").GetString())));
        Assert.Equal(RunFrames(bobs), RunFrames(cleos));
    }

    [Fact]
    public async Task Questions_of_several_people_wait_for_each_other_and_end_in_one_history()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var two = await TogetherAsync();
        var (ada, bob, room, adas, bobs) = (two.Ada, two.Bob, two.Room, two.Adas, two.Bobs);
        replicas.Provider.Enqueue(
            new Script { Steps = [new ScriptStep.Gate(gate.Task), Sse.Text("One."), Sse.Finish("stop"), Sse.Done] }, Script.Say("Two."), Script.Say("Three."));

        await adas.SendAsync("""{"type":"message","message":"First?"}""");
        await bobs.UntilAsync("run.started");
        await bobs.SendAsync("""{"type":"message","message":"Second?"}""");
        await bobs.SendAsync("""{"type":"message","message":"By the way.","ask":false}""");
        await adas.UntilAsync("queued");
        await adas.UntilAsync("message.added", frame => frame.GetProperty("message").GetProperty("content").GetString() == "By the way.");
        await adas.SendAsync("""{"type":"message","message":"Third?"}""");
        await bobs.UntilAsync("queued", frame => frame.GetProperty("ahead").GetInt32() == 2);
        gate.SetResult();
        await bobs.UntilAsync("run.completed", frame => frame.GetProperty("text").GetString() == "Three.");

        var history = (await bob.Client.GetFromJsonAsync<Page<HistoryMessage>>($"/api/rooms/{room.Id}/messages", ContractJson.Options, Ct))!.Items;
        Assert.Equal(["First?", "By the way.", "One.", "Second?", "Two.", "Third?", "Three."], history.Select(message => message.Content));
        var byId = history.ToDictionary(message => message.Id);
        var branch = new List<string>();
        for (var each = history[^1]; each is not null; each = each.ParentId is { } parent ? byId[parent] : null)
            branch.Insert(0, each.Content);
        Assert.Equal(["First?", "One.", "Second?", "Two.", "Third?", "Three."], branch);
        var last = replicas.Provider.Requests[^1].Body.GetProperty("messages").EnumerateArray().Select(message => message.GetProperty("content").GetString()!).ToList();
        Assert.Contains(last, text => text == $"{bob.Tokens.User.DisplayName}: Second?");
        Assert.Contains(last, text => text == $"{bob.Tokens.User.DisplayName}: By the way.");
        Assert.EndsWith($"{ada.Tokens.User.DisplayName}: Third?", last[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Context_added_on_another_replica_joins_before_the_next_call_of_the_model()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var two = await TogetherAsync();
        var (ada, bob, room, adas, bobs) = (two.Ada, two.Bob, two.Room, two.Adas, two.Bobs);
        replicas.Provider.Enqueue(
            new Script { Steps = [Sse.Text("Let me see. "), new ScriptStep.Gate(gate.Task), .. Script.CallTools(("calculate", """{"expression":"1+1"}""")).Steps] }, Script.Say("Two."));
        await adas.SendAsync("""{"type":"message","message":"How many?"}""");
        var run = (await bobs.UntilAsync("run.started")).GetProperty("runId").GetString();
        await Patience.UntilAsync(() => Task.FromResult(replicas.Provider.RequestCount), count => count > 0, "the model's first call");

        await bobs.SendAsync(new { type = "context.add", runId = run, context = new { boats = "herring" } });
        await bobs.SendAsync("""{"type":"ping"}""");
        await bobs.UntilAsync("pong");
        await Patience.UntilAsync(
            () => Task.FromResult(replicas.First.Services.GetRequiredService<LocalRuns>().TryFind(RunId.Parse(run!, null), out var local) && local.Additions.Waiting > 0), "what was added");
        gate.SetResult();
        var added = await bobs.UntilAsync("context.added");
        await bobs.UntilAsync("run.completed");

        Assert.Equal("herring", added.GetProperty("context").GetProperty("boats").GetString());
        Assert.DoesNotContain("herring", replicas.Provider.Requests[0].Body.GetRawText(), StringComparison.Ordinal);
        Assert.Contains("herring", replicas.Provider.Requests[1].Body.GetProperty("messages").EnumerateArray().Last().GetProperty("content").GetString()!, StringComparison.Ordinal);
        await bobs.SendAsync(new { type = "context.add", runId = run, context = new { boats = "late" } });
        Assert.Equal((409, "run_ended"), await bobs.UntilAsync("error") is var late ? (late.GetProperty("status").GetInt32(), late.GetProperty("code").GetString()!) : default);
    }

    /// <summary>Whoever came first is in the snapshot, whoever came after it is told.</summary>
    private static async Task SeesAsync(SocketClient socket, int people)
    {
        var members = (await socket.UntilAsync("snapshot")).GetProperty("members").EnumerateArray();
        if (members.Count(member => member.GetProperty("isOnline").GetBoolean()) != people)
            await socket.UntilAsync("presence", frame => frame.GetProperty("online").GetArrayLength() == people);
    }

    private async Task<Two> TogetherAsync(RoomRole role = RoomRole.Member)
    {
        replicas.Provider.Reset();
        var (ada, bob) = (await replicas.First.RegisterAsync("ada"), await replicas.First.RegisterAsync("bob"));
        var room = await CreateAsync(ada);
        (await InviteAsync(ada, room, bob, role)).Dispose();
        return new(ada, bob, room, await EnterAsync(replicas.First, ada, room), await EnterAsync(replicas.Second, bob, room));
    }

    [Fact]
    public async Task Removed_members_are_out_and_viewers_only_read()
    {
        using var two = await TogetherAsync(RoomRole.Viewer);
        var (ada, bob, room, adas, bobs) = (two.Ada, two.Bob, two.Room, two.Adas, two.Bobs);
        await bobs.SendAsync("""{"type":"message","message":"May I?"}""");
        var refusal = await bobs.UntilAsync("error");
        await bobs.SendAsync("""{"type":"ping"}""");
        await bobs.UntilAsync("pong");

        await SeesAsync(adas, 2);

        using var removal = await ada.Client.DeleteAsync($"/api/rooms/{room.Id}/members/{bob.Id}", Ct);

        Assert.Equal(HttpStatusCode.NoContent, removal.StatusCode);
        Assert.Equal((403, "room_role"), (refusal.GetProperty("status").GetInt32(), refusal.GetProperty("code").GetString()));
        Assert.Equal(WebSocketCloseStatus.PolicyViolation, await bobs.ClosedAsync());
        Assert.Equal(HttpStatusCode.NotFound, await SocketClient.RefusedAsync(replicas.Second.Address, bob.Client, $"/ws/rooms/{room.Id}"));
        await adas.UntilAsync("room.changed", frame => frame.GetProperty("members").GetArrayLength() == 1);
        await adas.UntilAsync("presence", frame => frame.GetProperty("online").GetArrayLength() == 1);
    }

    [Theory]
    [InlineData("""{"type":"message","message":"x","conversationId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d"}""", 400)]
    [InlineData("""{"type":"message","message":""}""", 400)]
    [InlineData("""{"type":"message","message":"x","ask":false,"model":"y"}""", 400)]
    [InlineData("""{"type":"cancel","conversationId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d"}""", 400)]
    [InlineData("""{"type":"cancel","runId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d"}""", 404)]
    [InlineData("""{"type":"context.add","runId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d","context":{}}""", 404)]
    [InlineData("""{"type":"approval","runId":"0199c1e2-7a51-7c3e-9d5b-0c8f5a1b2c3d","callId":"c","decision":"approve"}""", 404)]
    public async Task Frames_that_a_room_does_not_take_are_errors_and_the_socket_stays(string frame, int status)
    {
        var room = await CreateAsync(replicas.First.Admin);
        using var socket = await EnterAsync(replicas.First, replicas.First.Admin, room);
        await socket.SendAsync(frame);

        Assert.Equal(status, (await socket.UntilAsync("error")).GetProperty("status").GetInt32());
        await socket.SendAsync("""{"type":"ping"}""");
        await socket.UntilAsync("pong");
    }

    [Fact]
    public async Task The_agent_quotes_only_what_every_member_may_read_and_nobodys_memories()
    {
        replicas.Provider.Reset();
        var (ada, bob) = (await replicas.First.RegisterAsync("ada"), await replicas.First.RegisterAsync("bob"));
        var documents = new DocumentClient(ada);
        await documents.IngestAsync("private.txt", "The lantern room key hangs in the pantry.");
        var shared = await documents.IngestAsync("shared.txt", "The lantern room opens at noon.");
        using var made = await ada.Client.PostAsJsonAsync("/api/collections", new CreateCollectionRequest($"c{ada.Id}"), ContractJson.Options, Ct);
        var collection = (await made.Content.ReadFromJsonAsync<Collection>(ContractJson.Options, Ct))!;
        (await ada.Client.PutAsync($"/api/collections/{collection.Id}/documents/{shared.Id}", null, Ct)).Dispose();
        (await ada.Client.PostAsJsonAsync($"/api/collections/{collection.Id}/members", new CollectionMemberRequest(bob.Id), ContractJson.Options, Ct)).Dispose();
        using var kept = await ada.Client.PostAsJsonAsync("/api/memories", new AddMemoryRequest { Text = "The lantern room frightens me." }, ContractJson.Options, Ct);
        Assert.Equal(HttpStatusCode.Created, kept.StatusCode);
        var room = await CreateAsync(ada);
        (await InviteAsync(ada, room, bob)).Dispose();
        using var adas = await EnterAsync(replicas.First, ada, room);

        var together = await AskAsync(adas, "What about the lantern room?");
        var cleo = await replicas.First.RegisterAsync("cleo");
        (await InviteAsync(ada, room, cleo)).Dispose();
        var withCleo = await AskAsync(adas, "And what about the lantern room now?");

        Assert.Equal(["The lantern room opens at noon."], Texts(together, "chunks"));
        Assert.Empty(Texts(together, "memories"));
        Assert.Empty(Texts(withCleo, "chunks"));
        Assert.False(together.TryGetProperty("degraded", out _), together.GetRawText());
    }

    [Fact]
    public async Task An_erased_account_leaves_its_words_without_its_name_and_the_room_to_another()
    {
        replicas.Provider.Reset();
        var (ada, bob) = (await replicas.First.RegisterAsync("ada"), await replicas.First.RegisterAsync("bob"));
        var (shared, alone) = (await CreateAsync(ada), await CreateAsync(ada, "Alone"));
        (await InviteAsync(ada, shared, bob)).Dispose();
        using var adas = await EnterAsync(replicas.First, ada, shared);
        await adas.SendAsync("""{"type":"message","message":"Goodbye.","ask":false}""");
        await adas.UntilAsync("message.added");

        using var erased = await replicas.First.Admin.Client.DeleteAsync($"/api/admin/users/{ada.Id}", Ct);
        Assert.True(erased.IsSuccessStatusCode, $"{erased.StatusCode}");
        await Patience.UntilAsync(
            () => Sql.ScalarAsync<long>(replicas.First.ConnectionString, $"select count(*) from agentflow_api.users where owner_id = '{ada.Id}'"), count => count == 0, "the erasure");

        var message = Assert.Single((await bob.Client.GetFromJsonAsync<Page<HistoryMessage>>($"/api/rooms/{shared.Id}/messages", ContractJson.Options, Ct))!.Items);
        Assert.Equal(("Goodbye.", null, null), (message.Content, message.Author, message.AuthorId));
        Assert.Equal(RoomRole.Owner, (await bob.Client.GetFromJsonAsync<Room>($"/api/rooms/{shared.Id}", ContractJson.Options, Ct))!.Role);
        Assert.Equal(0, await Sql.ScalarAsync<long>(replicas.First.ConnectionString, $"select count(*) from agentflow_api.rooms where id = '{alone.Id}'"));
    }

    private static async Task<JsonElement> AskAsync(SocketClient socket, string question)
    {
        await socket.SendAsync(new { type = "message", message = question });
        var recalled = await socket.UntilAsync("context.recalled");
        await socket.UntilAsync("run.completed");
        return recalled;
    }

    private static List<string> Texts(JsonElement recalled, string member) => [.. recalled.GetProperty(member).EnumerateArray().Select(each => each.GetProperty("text").GetString()!)];

    private static List<string> RunFrames(SocketClient socket) => [.. socket.Frames.Where(frame => frame.TryGetProperty("seq", out _)).Select(frame => frame.GetRawText())];

    /// <summary>Two people in one room, each at another replica.</summary>
    private sealed record Two(TestUser Ada, TestUser Bob, Room Room, SocketClient Adas, SocketClient Bobs) : IDisposable
    {
        public void Dispose()
        {
            Adas.Dispose();
            Bobs.Dispose();
        }
    }
}
