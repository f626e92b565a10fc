using System.Net;
using System.Net.Http.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Chat;

/// <summary>Each route of conversations and runs through the whole service: for its owner, for somebody else, and for nobody.</summary>
public sealed class ConversationRoutesTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_owner_reads_renames_exports_cancels_and_deletes_and_nobody_else_does()
    {
        var (owner, other) = (await host.RegisterAsync(), await host.RegisterAsync());
        using var asked = await owner.Client.PostAsJsonAsync("/api/v1/chat/query", new QueryRequest { Question = "What is written here?" }, ContractJson.Options, Ct);
        var answer = (await asked.Content.ReadFromJsonAsync<QueryAnswer>(ContractJson.Options, Ct))!;
        var conversation = $"/api/chat/{answer.ConversationId}";
        var run = $"/api/runs/{answer.RunId}";

        (HttpMethod Method, string Path)[] routes =
        [
            (HttpMethod.Get, conversation), (HttpMethod.Get, $"{conversation}/history"), (HttpMethod.Get, $"{conversation}/export"), (HttpMethod.Patch, conversation),
            (HttpMethod.Post, $"{conversation}/cancel"), (HttpMethod.Get, run), (HttpMethod.Get, $"{run}/events?after=0"), (HttpMethod.Post, $"{run}/cancel"),
            (HttpMethod.Delete, conversation),
        ];
        foreach (var (method, path) in routes)
        {
            Assert.Equal((path, HttpStatusCode.NotFound), (path, await SendAsync(other.Client, method, path)));
        }

        foreach (var (method, path) in routes)
        {
            var status = await SendAsync(owner.Client, method, path);
            Assert.True(status is HttpStatusCode.OK or HttpStatusCode.NoContent, $"{method} {path} answered {status}");
        }

        Assert.Equal(HttpStatusCode.NotFound, await SendAsync(owner.Client, HttpMethod.Get, conversation));
    }

    [Theory]
    [InlineData("/api/agents")]
    [InlineData("/api/collections")]
    public async Task Lists_are_for_those_who_are_signed_in(string path)
    {
        using var nobody = host.Client();
        Assert.Equal(HttpStatusCode.Unauthorized, await SendAsync(nobody, HttpMethod.Get, path));
        Assert.Equal(HttpStatusCode.OK, await SendAsync(host.Admin.Client, HttpMethod.Get, path));
    }

    private static async Task<HttpStatusCode> SendAsync(HttpClient client, HttpMethod method, string path)
    {
        using var request = new HttpRequestMessage(method, path);
        if (method == HttpMethod.Patch)
        {
            request.Content = JsonContent.Create(new ConversationPatch("Renamed"), options: ContractJson.Options);
        }

        using var response = await client.SendAsync(request, Ct);
        return response.StatusCode;
    }
}
