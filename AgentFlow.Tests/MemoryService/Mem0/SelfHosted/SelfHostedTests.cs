using System.Text;
using System.Text.Json;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.MemoryService.Mem0.SelfHosted;

/// <summary>The routes of Mem0's own server.</summary>
public sealed class SelfHostedTests(MemoryFixture fixture) : IClassFixture<MemoryFixture>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Memories_live_and_die_as_on_Mem0s_server()
    {
        using var client = await fixture.Host.ClientAsync();
        var added = await SendAsync(client, HttpMethod.Post, "/memories", """{"messages":[{"role":"user","content":"I like tea","name":"Ann"}],"user_id":"u","run_id":"r","infer":false}""");
        var id = added.GetProperty("results")[0].GetProperty("id").GetString();
        Assert.Equal("ADD", added.GetProperty("results")[0].GetProperty("event").GetString());

        var read = await SendAsync(client, HttpMethod.Get, $"/memories/{id}");
        Assert.Equal(("I like tea", "Ann", "user", "r"), (Text(read, "memory"), Text(read, "actor_id"), Text(read, "role"), Text(read, "run_id")));
        Assert.Equal(JsonValueKind.Null, (await SendAsync(client, HttpMethod.Get, $"/memories/{Guid.Empty}")).ValueKind);
        var found = await SendAsync(client, HttpMethod.Post, "/search", """{"query":"tea","user_id":"u","explain":true}""");
        Assert.Equal(JsonValueKind.Object, found.GetProperty("results")[0].GetProperty("score_details").ValueKind);
        Assert.Equal("Memory updated successfully!", Text(await SendAsync(client, HttpMethod.Put, $"/memories/{id}", """{"text":"I like coffee","expiration_date":"2999-01-01"}"""), "message"));
        Assert.Equal("Memory updated successfully!", Text(await SendAsync(client, HttpMethod.Put, $"/memories/{id}", """{"expiration_date":null}"""), "message"));
        Assert.Equal(["ADD", "UPDATE", "UPDATE"], (await SendAsync(client, HttpMethod.Get, $"/memories/{id}/history")).EnumerateArray().Select(entry => Text(entry, "event")));
        Assert.Equal("I like coffee", (await SendAsync(client, HttpMethod.Get, "/memories?user_id=u")).GetProperty("results")[0].GetProperty("memory").GetString());
        Assert.Equal(["u", "r"], (await SendAsync(client, HttpMethod.Get, "/entities")).EnumerateArray().Select(entity => Text(entity, "id")));
        Assert.Equal("Memory deleted successfully", Text(await SendAsync(client, HttpMethod.Delete, $"/memories/{id}"), "message"));
        using var again = await client.DeleteAsync($"/memories/{id}", Ct);
        Assert.Equal(404, (int)again.StatusCode);
    }

    [Fact]
    public async Task Only_an_administrator_deletes_in_bulk_and_only_his_own()
    {
        using var admin = await fixture.Host.ClientAsync();
        using var stranger = await fixture.Host.ClientAsync();
        using var writer = await fixture.Host.ClientAsync(null, null, "read", "write");
        await stranger.AddVerbatimAsync("not yours");
        foreach (var user in new[] { "a", "b", "c" })
            await admin.AddVerbatimAsync($"memory of {user}", user);

        Assert.Equal(403, await StatusAsync(writer, HttpMethod.Delete, "/memories?user_id=a"));
        Assert.Equal(403, await StatusAsync(writer, HttpMethod.Post, "/reset"));
        Assert.Equal(403, await StatusAsync(writer, HttpMethod.Get, "/memories"));
        Assert.Equal(400, await StatusAsync(admin, HttpMethod.Delete, "/memories"));
        Assert.Equal("All relevant memories deleted", Text(await SendAsync(admin, HttpMethod.Delete, "/memories?user_id=a"), "message"));
        Assert.Equal("Entity deleted", Text(await SendAsync(admin, HttpMethod.Delete, "/entities/user/b"), "message"));
        Assert.Single((await admin.ListAsync()).Items);
        Assert.Equal("All memories reset", Text(await SendAsync(admin, HttpMethod.Post, "/reset"), "message"));
        Assert.Empty((await admin.ListAsync()).Items);
        Assert.Single((await stranger.ListAsync()).Items);
    }

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();

    private static async Task<int> StatusAsync(HttpClient client, HttpMethod method, string path)
    {
        using var request = new HttpRequestMessage(method, path);
        using var response = await client.SendAsync(request, Ct);
        return (int)response.StatusCode;
    }

    private static async Task<JsonElement> SendAsync(HttpClient client, HttpMethod method, string path, string? body = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") };
        using var response = await client.SendAsync(request, Ct);
        var text = await response.Content.ReadAsStringAsync(Ct);
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode} {text}");
        return JsonElement.Parse(text);
    }
}
