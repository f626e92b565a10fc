using System.Net;
using System.Net.Sockets;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.Access;

/// <summary>The memory service's outermost edge, which it shares with the others: names, connections, HTTPS.</summary>
public sealed class MemoryEdgeTests
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Only_the_names_that_it_was_given_and_this_machines_are_answered()
    {
        await using var memory = await MemoryHost.StartAsync(settings: ("AllowedHosts", "memory"));

        foreach (var (host, status) in new[] { ("memory:8080", 200), ("localhost", 200), ("127.0.0.1", 200), ("rebound.example", 400), ("memory.evil.example", 400), ("169.254.169.254", 400) })
        {
            var answer = await RawHttp.SendAsync(memory.Address, $"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n");
            Assert.Equal((host, status), (host, answer.Status));
        }
    }

    [Fact]
    public async Task Connections_are_capped_and_those_that_exist_go_on()
    {
        await using var memory = await MemoryHost.StartAsync(settings: ("Limits:Connections", "6"));
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, MaxConnectionsPerServer = 1 }) { BaseAddress = memory.Address };
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/health", Ct)).StatusCode);
        var idle = new List<TcpClient>();
        for (var i = 0; i < 20; i++)
        {
            idle.Add(new TcpClient());
            await idle[i].ConnectAsync(memory.Address.Host, memory.Address.Port, Ct);
        }

        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/health", Ct)).StatusCode);

        // Beyond the cap the server ends a connection as soon as it has taken it.
        await Patience.UntilAsync(() => Task.FromResult(idle.Count(connection => connection.Client.Poll(0, SelectMode.SelectRead))), ended => ended >= 15, "the end of the connections over the cap");
        idle.ForEach(connection => connection.Dispose());
    }

    [Fact]
    public async Task Https_is_asked_for_where_a_setting_says_so_and_our_own_calls_pass()
    {
        await using var memory = await MemoryHost.StartAsync(settings: ("Edges:HttpsRedirect", "true"));
        var (owner, key) = await memory.CreateKeyAsync();
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { BaseAddress = memory.Address };
        async Task<HttpStatusCode> ListAsync(string credential)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/api/memories");
            request.Headers.Add("Authorization", $"Bearer {credential}");
            return (await client.SendAsync(request, Ct)).StatusCode;
        }

        Assert.Equal(HttpStatusCode.PermanentRedirect, await ListAsync(key));
        Assert.Equal(HttpStatusCode.OK, await ListAsync(memory.Get<AgentFlow.ServiceDefaults.Tokens.InternalTokens>().Issue(owner, ["memory.read"])));
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/health", Ct)).StatusCode);
    }
}
