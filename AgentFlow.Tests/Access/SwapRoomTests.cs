using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Access;

/// <summary>Ids of others in rooms, in messages over sockets and in the inputs of tasks: not there, and nothing happens to what they name.</summary>
public sealed class SwapRoomTests(FullHost full) : IClassFixture<FullHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private ApiHost Host => full.Api;

    [Fact]
    public async Task A_room_that_one_is_not_in_opens_no_socket_and_its_runs_and_messages_are_nobodys_else()
    {
        var (victim, thief) = (await Belongings.MakeAsync(await Host.RegisterAsync("victim")), await Belongings.MakeAsync(await Host.RegisterAsync("thief")));
        var said = await SayAsync(victim);
        var before = await SeenAsync(victim);

        Assert.Equal(HttpStatusCode.NotFound, await SocketClient.RefusedAsync(Host.Address, thief.Owner.Client, $"/ws/rooms/{victim.Room}"));
        Assert.Equal(HttpStatusCode.NotFound, await SocketClient.RefusedAsync(Host.Address, await thief.Owner.KeyClientAsync("write", "chat"), $"/ws/rooms/{victim.Room}"));
        foreach (var (method, path, body) in new (string, string, object?)[]
        {
            ("GET", $"/api/rooms/{victim.Room}", null), ("GET", $"/api/rooms/{victim.Room}/messages", null), ("GET", $"/api/rooms/{victim.Room}/members", null), ("DELETE", $"/api/rooms/{victim.Room}", null),
            ("PATCH", $"/api/rooms/{victim.Room}", new { name = "mine" }), ("POST", $"/api/rooms/{victim.Room}/members", new { userId = thief.Owner.Id, role = "owner" }),
            ("POST", $"/api/rooms/{victim.Room}/members", new { email = thief.Owner.Email }), ("DELETE", $"/api/rooms/{victim.Room}/members/{victim.Owner.Id}", null),
            ("DELETE", $"/api/rooms/{victim.Room}/members/{thief.Owner.Id}", null), ("DELETE", $"/api/rooms/{thief.Room}/members/{victim.Owner.Id}", null),
            ("GET", $"/api/runs/{said.Run}", null), ("GET", $"/api/runs/{said.Run}/events", null), ("POST", $"/api/runs/{said.Run}/cancel", null),
            ("POST", $"/api/runs/{said.Run}/approvals/call-1", new { decision = "approve" }), ("GET", $"/api/chat/{victim.Room}", null), ("GET", $"/api/chat/{victim.Room}/history", null),
            ("POST", "/api/chat", new { message = "x", conversationId = victim.Room, stream = false }), ("POST", "/api/chat", new { message = "x", conversationId = thief.Conversation, parentMessageId = said.Message, stream = false }),
        })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = body is null ? null : JsonContent.Create(body) };
            using var response = await thief.Owner.Client.SendAsync(request, Ct);
            Assert.True(response.StatusCode == HttpStatusCode.NotFound, $"{method} {path}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Ct)}");
        }

        Assert.Equal(before, await SeenAsync(victim));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Foreign_ids_in_messages_over_a_socket_find_nothing(bool inRoom)
    {
        var (victim, thief) = (await Belongings.MakeAsync(await Host.RegisterAsync("victim")), await Belongings.MakeAsync(await Host.RegisterAsync("thief")));
        var said = await SayAsync(victim);
        var before = await SeenAsync(victim);
        using var socket = await SocketClient.OpenAsync(Host.Address, thief.Owner.Client, inRoom ? $"/ws/rooms/{thief.Room}" : "/ws/chat");

        // What belongs to the thief alone is not in the thief's room, either.
        var runs = new List<string> { victim.Run.ToString(), said.Run };
        if (inRoom)
            runs.Add(thief.Run.ToString());
        foreach (var run in runs)
        {
            foreach (var frame in new object[]
            {
                new { type = "cancel", runId = run }, new { type = "context.add", runId = run, context = new { a = 1 } }, new { type = "approval", runId = run, callId = "call-1", decision = "approve" },
            })
            {
                await socket.SendAsync(JsonSerializer.Serialize(frame));
                Assert.Equal(404, (await socket.UntilAsync("error")).GetProperty("status").GetInt32());
            }
        }

        foreach (var frame in new object[]
        {
            new { type = "message", message = "x", conversationId = victim.Conversation }, new { type = "message", message = "x", conversationId = victim.Room }, new { type = "message", message = "x", parentMessageId = victim.Message },
            new { type = "message", message = "x", parentMessageId = said.Message }, new { type = "message", message = "x", conversationId = thief.Conversation, parentMessageId = victim.Message },
        })
        {
            await socket.SendAsync(JsonSerializer.Serialize(frame));
            Assert.Contains((await socket.UntilAsync("error")).GetProperty("status").GetInt32(), inRoom ? new[] { 400 } : new[] { 400, 404 });
        }

        // There may be nothing to say about a conversation in which nothing is being answered; nothing is done to it.
        foreach (var conversation in new[] { victim.Conversation, victim.Room })
            await socket.SendAsync(JsonSerializer.Serialize(new { type = "cancel", conversationId = conversation }));
        await socket.SendAsync("""{"type":"ping","ref":"last"}""");
        await socket.UntilAsync("pong");
        Assert.DoesNotContain(socket.Frames, frame => new[] { $"{victim.Room}", $"{victim.Conversation}", said.Message, said.Run }.Any(id => frame.GetRawText().Contains(id, StringComparison.Ordinal)));
        Assert.Equal(before, await SeenAsync(victim));
    }

    [Fact]
    public async Task Foreign_ids_in_the_inputs_of_tasks_find_nothing()
    {
        var (victim, thief) = (await Belongings.MakeAsync(await Host.RegisterAsync("victim")), await Host.RegisterAsync("thief"));
        await Patience.UntilAsync(
            async () => JsonElement.Parse(await victim.Owner.Client.GetStringAsync($"/api/documents/{victim.Document}", Ct)).GetProperty("status").GetString(), status => status is "ready", "the victim's document");
        var before = await SeenAsync(victim);
        foreach (var (kind, input) in new (string, object)[]
        {
            ("ingest", new { documentId = victim.Document }), ("run", new { message = $"Who is the {Belongings.Canary}?", conversationId = victim.Conversation }), ("run", new { message = "x", conversationId = victim.Room }),
        })
        {
            using var response = await thief.Client.PostAsJsonAsync("/api/tasks", new { kind, input }, Ct);
            if (response.StatusCode is not HttpStatusCode.Accepted)
            {
                Assert.Contains(response.StatusCode, new[] { HttpStatusCode.BadRequest, HttpStatusCode.NotFound });
                continue;
            }

            var id = JsonElement.Parse(await response.Content.ReadAsStringAsync(Ct)).GetProperty("id").GetString();
            var ended = await Patience.UntilAsync(
                async () => JsonElement.Parse(await thief.Client.GetStringAsync($"/api/tasks/{id}", Ct)), task => task.TryGetProperty("endedAt", out var at) && at.ValueKind is JsonValueKind.String, $"the {kind} task");
            Assert.True(ended.GetProperty("status").GetString() is "failed" or "dead", ended.GetRawText());
        }

        Assert.Equal(before, await SeenAsync(victim));
    }

    /// <summary>One question and its answer in the victim's room.</summary>
    private async Task<(string Run, string Message)> SayAsync(Belongings victim)
    {
        using var socket = await SocketClient.OpenAsync(Host.Address, victim.Owner.Client, $"/ws/rooms/{victim.Room}");
        await socket.SendAsync(JsonSerializer.Serialize(new { type = "message", message = $"Who is the {Belongings.Canary}?" }));
        var message = (await socket.UntilAsync("message.added")).GetProperty("message").GetProperty("id").GetString()!;
        return ((await socket.UntilAsync("run.completed")).GetProperty("runId").GetString()!, message);
    }

    private static async Task<string> SeenAsync(Belongings victim) =>
        await victim.SnapshotAsync() + await victim.Owner.Client.GetStringAsync($"/api/rooms/{victim.Room}", Ct) + await victim.Owner.Client.GetStringAsync($"/api/rooms/{victim.Room}/messages", Ct);
}
