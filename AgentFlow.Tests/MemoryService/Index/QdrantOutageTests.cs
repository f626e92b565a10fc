using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.MemoryService.Index;

public sealed class QdrantOutageTests
{
    private static readonly IReadOnlyDictionary<string, Func<HttpContext, Task>> Faults = new Dictionary<string, Func<HttpContext, Task>>(StringComparer.Ordinal)
    {
        ["broken"] = context => WriteAsync(context, 500, """{"status":{"error":"disk full"}}"""),
        ["no JSON"] = context => WriteAsync(context, 200, "<html>"),
        ["no result"] = context => WriteAsync(context, 200, """{"status":"ok"}"""),
        ["a result of another form"] = context => WriteAsync(context, 200, """{"result":{"points":"many"},"status":"ok"}"""),
        ["hits of another form"] = context => WriteAsync(context, 200, """{"result":[{"points":[{"id":7,"score":"high"}]},{"points":[]}],"status":"ok"}"""),
    };

    [Fact]
    public async Task While_Qdrant_is_wrong_writes_are_taken_and_searches_answer_degraded()
    {
        await using var started = await StartAsync(TimeSpan.FromMinutes(1));
        var (proxy, client) = (started.Proxy, started.Client);
        List<string> stored = ["stored while all is well"];
        await client.AddVerbatimAsync(stored[0]);
        foreach (var (name, answer) in Faults)
        {
            proxy.Answer = null;
            await Patience.UntilAsync(() => client.SearchAsync("stored"), found => found.Degraded is null && found.Items.Count == stored.Count, $"Qdrant's own answer before it is {name}");

            proxy.Answer = answer;
            stored.Add($"stored while it is {name}");
            await client.AddVerbatimAsync(stored[^1]);
            var during = await client.SearchAsync("stored");
            Assert.Equal(["qdrant"], during.Degraded);
            Assert.Equal(stored.Order(StringComparer.Ordinal), during.Items.Select(item => item.Text).Order(StringComparer.Ordinal));
        }

        proxy.Answer = null;
        await Patience.UntilAsync(() => client.SearchAsync("stored"), found => found.Degraded is null && found.Items.Count == stored.Count, "Qdrant with all that was stored meanwhile");
        Assert.True(proxy.Answered >= 2 * Faults.Count);
    }

    [Fact]
    public async Task While_Qdrant_is_silent_writes_are_taken_and_searches_answer_degraded()
    {
        await using var started = await StartAsync(TimeSpan.FromSeconds(2));
        var (proxy, client) = (started.Proxy, started.Client);
        await client.AddVerbatimAsync("stored while all is well");
        await Patience.UntilAsync(() => client.SearchAsync("stored"), found => found.Degraded is null && found.Items.Count == 1, "Qdrant's own answer before it is silent");

        proxy.Answer = context => Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        await client.AddVerbatimAsync("stored while it is silent");
        var during = await client.SearchAsync("stored");
        Assert.Equal(["qdrant"], during.Degraded);
        Assert.Equal(["stored while all is well", "stored while it is silent"], during.Items.Select(item => item.Text).Order(StringComparer.Ordinal));
    }

    /// <summary>A memory service that asks Qdrant through a proxy, and for which the pauses after a failure pass at once.</summary>
    private static async Task<Started> StartAsync(TimeSpan timeout)
    {
        Assert.SkipWhen(QdrantServer.FindBinary() is null, QdrantServer.Missing);
        var qdrant = await QdrantServer.StartAsync();
        var proxy = await QdrantProxy.StartAsync(qdrant, TestContext.Current.CancellationToken);
        var host = await MemoryHost.StartAsync(
            configure: builder => builder.Services.AddSingleton<TimeProvider>(new HurriedClock()), settings: ("ConnectionStrings:qdrant_http", proxy.ConnectionString(timeout)));
        return new Started(qdrant, proxy, host, await host.ClientAsync());
    }

    private sealed record Started(QdrantServer Qdrant, QdrantProxy Proxy, MemoryHost Host, HttpClient Client) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await Host.DisposeAsync();
            await Proxy.DisposeAsync();
            await Qdrant.DisposeAsync();
        }
    }

    /// <summary>Whoever measures time finds a thousand times as much; the date and timers are right.</summary>
    private sealed class HurriedClock : TimeProvider
    {
        public override long TimestampFrequency => base.TimestampFrequency / 1_000;
    }

    private static Task WriteAsync(HttpContext context, int status, string body)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(body, context.RequestAborted);
    }

    [Fact]
    public async Task While_Qdrant_is_down_writes_are_taken_and_searches_answer_degraded()
    {
        Assert.SkipUnless(QdrantServer.FindBinary() is not null, QdrantServer.Missing);
        await using var qdrant = await QdrantServer.StartAsync();
        await using var host = await MemoryHost.StartAsync(settings: ("ConnectionStrings:qdrant_http", qdrant.ConnectionString));
        using var client = await host.ClientAsync();
        await client.AddVerbatimAsync("stored while all is well");

        // The collection is made in the background, and the first write may come before it.
        var before = await Patience.UntilAsync(() => client.SearchAsync("stored"), found => found.Degraded is null && found.Items.Count > 0, "Qdrant's own answer");
        Assert.Single(before.Items);

        await qdrant.KillAsync();
        await client.AddVerbatimAsync("stored during the outage");
        var during = await client.SearchAsync("stored");

        Assert.Equal(["qdrant"], during.Degraded);
        Assert.Equal(["stored during the outage", "stored while all is well"], during.Items.Select(item => item.Text).Order());
    }
}
