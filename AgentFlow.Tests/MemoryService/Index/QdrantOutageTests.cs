using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Http;

namespace AgentFlow.Tests.MemoryService.Index;

public sealed class QdrantOutageTests
{
    private static readonly IReadOnlyDictionary<string, Func<HttpContext, Task>> Faults = new Dictionary<string, Func<HttpContext, Task>>(StringComparer.Ordinal)
    {
        ["silent"] = context => Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default),
        ["broken"] = context => WriteAsync(context, 500, """{"status":{"error":"disk full"}}"""),
        ["no JSON"] = context => WriteAsync(context, 200, "<html>"),
        ["no result"] = context => WriteAsync(context, 200, """{"status":"ok"}"""),
        ["a result of another form"] = context => WriteAsync(context, 200, """{"result":{"points":"many"},"status":"ok"}"""),
        ["hits of another form"] = context => WriteAsync(context, 200, """{"result":[{"points":[{"id":7,"score":"high"}]},{"points":[]}],"status":"ok"}"""),
    };

    [Fact]
    public async Task While_Qdrant_is_slow_or_wrong_writes_are_taken_and_searches_answer_degraded()
    {
        Assert.SkipWhen(QdrantServer.FindBinary() is null, QdrantServer.Missing);
        var ct = TestContext.Current.CancellationToken;
        await using var qdrant = await QdrantServer.StartAsync();
        await using var proxy = await QdrantProxy.StartAsync(qdrant, ct);
        await using var host = await MemoryHost.StartAsync(settings: ("ConnectionStrings:qdrant_http", proxy.ConnectionString(TimeSpan.FromSeconds(2))));
        using var client = await host.ClientAsync();
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
        Assert.True(proxy.Answered >= Faults.Count);
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
