using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Rooms;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>Two of each service behind nginx, as eng/two-replicas starts them; the full load is <c>soak rolling</c> of the benchmarks.</summary>
[Collection(EndToEndCollection.Name)]
public sealed class ReplicasTests : IAsyncLifetime
{
    private PrivatePostgres _postgres = null!;
    private ScriptedProvider _provider = null!;
    private TwoReplicas _replicas = null!;
    private string _apiDatabase = "";
    private string _memoryDatabase = "";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        Assert.SkipWhen(TwoReplicas.FindNginx() is null, "There is no nginx: apt install nginx brings it.");
        _postgres = await PrivatePostgres.StartAsync();
        _provider = await ScriptedProvider.StartAsync();
        _provider.KeepsRequests = false;
        _provider.Respond = _ => Script.Say(TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(40), [.. Enumerable.Range(0, 40).Select(i => $"word{i} ")]);
        (_replicas, _apiDatabase, _memoryDatabase) = await TwoReplicas.StartAsync(_postgres, Settings(_provider), Ct);
    }

    public async ValueTask DisposeAsync()
    {
        if (_replicas is not null)
            await _replicas.DisposeAsync();
        if (_provider is not null)
            await _provider.DisposeAsync();
        if (_postgres is not null)
            await _postgres.DisposeAsync();
    }

    [Fact]
    public async Task Streams_go_on_at_the_other_replica_and_a_rolling_restart_lets_nobody_down()
    {
        await ResumeAtTheOtherAsync();
        await TalkInARoomAsync();
        using var soak = new RollingSoak(_replicas, new RollingPlan([("memory", 1), ("api", 1), ("web", 1)], RequestsPerSecond: 10, Tries: 20, Settle: TimeSpan.FromSeconds(1)));
        var result = await soak.RunAsync(_apiDatabase, _memoryDatabase, Ct);
        Assert.True(result.IsSound, $"{result with { Faults = [] }}\n{string.Join('\n', result.Faults)}");
        Assert.InRange(result.Streams, 1, int.MaxValue);
    }

    /// <summary>The run goes on in its process; whoever asks with the last event's id gets the rest from any.</summary>
    private async Task ResumeAtTheOtherAsync()
    {
        using var first = _replicas.Client(_replicas.Apis[0]);
        using var second = _replicas.Client(_replicas.Apis[1]);
        var received = new List<SseEvent>();
        using (var request = new HttpRequestMessage(HttpMethod.Post, "/api/chat") { Content = JsonContent.Create(new ChatRequest { Message = "Say forty words." }, options: ContractJson.Options) })
        {
            using var response = await first.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Ct);
            await foreach (var evt in SseEvent.ReadAsync(response))
            {
                received.Add(evt);
                if (received.Count == 5)
                    break;
            }
        }

        using var resume = new HttpRequestMessage(HttpMethod.Get, $"/api/runs/{received[0].RunId}/events");
        resume.Headers.Add("Last-Event-ID", received[^1].Id);
        using var rest = await second.SendAsync(resume, HttpCompletionOption.ResponseHeadersRead, Ct);
        received.AddRange(await SseEvent.ReadAllAsync(rest));
        using var whole = await second.GetAsync($"/api/runs/{received[0].RunId}/events?after=0", Ct);
        Assert.Equal(await SseEvent.ReadAllAsync(whole), received);
        Assert.Equal("run.completed", received[^1].Type);
    }

    /// <summary>What is said at one replica, and what the agent answers there, is told at the other. <c>RoomSocketTests</c> has the rest.</summary>
    private async Task TalkInARoomAsync()
    {
        using var first = _replicas.Client(_replicas.Apis[0]);
        using var second = _replicas.Client(_replicas.Apis[1]);
        using var created = await first.PostAsJsonAsync("/api/rooms", new CreateRoomRequest("Harbour"), ContractJson.Options, Ct);
        var room = (await created.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<Room>(ContractJson.Options, Ct))!;
        using var here = await SocketClient.OpenAsync(_replicas.Apis[0], first, $"/ws/rooms/{room.Id}");
        using var there = await SocketClient.OpenAsync(_replicas.Apis[1], second, $"/ws/rooms/{room.Id}");
        await here.UntilAsync("snapshot");
        await there.UntilAsync("snapshot");
        await here.SendAsync("""{"type":"message","message":"Say forty words."}""");
        Assert.Equal("Say forty words.", (await there.UntilAsync("message.added")).GetProperty("message").GetProperty("content").GetString());
        var end = await there.UntilAsync("run.completed");
        Assert.Equal((await here.UntilAsync("run.completed")).GetRawText(), end.GetRawText());
        Assert.EndsWith("word39 ", end.GetProperty("text").GetString(), StringComparison.Ordinal);
    }

    internal static Dictionary<string, string> Settings(ScriptedProvider provider) => new(StringComparer.Ordinal)
    {
        ["Models__Providers__0__Endpoint"] = provider.Endpoint.ToString(), ["Models__Providers__0__Model"] = "scripted", ["Models__Providers__0__ApiKey"] = "k",
        ["Queue__Lease"] = "00:00:10", ["Runs__Lease"] = "00:00:20", ["Runs__Heartbeat"] = "00:00:00.5",
    };
}
