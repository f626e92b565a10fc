using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Documents;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.Tests.Access;
using AgentFlow.Tests.Support;

namespace AgentFlow.Tests.ApiService.Documents;

/// <summary>Repeated changes of documents have one effect and one answer; without workers, so that nothing changes between two requests.</summary>
public sealed class IdempotentDocumentsTests
{
    private const string Key = "again-1";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_repeated_change_gives_the_first_answer_and_another_body_is_refused()
    {
        await using var host = await ApiHost.StartAsync(new() { ["Queue:Enabled"] = "false" });
        Assert.Empty(RouteTable.Of(host.App)
            .Where(route => route.Method is "POST" or "PUT" or "PATCH" or "DELETE" && route.Name is not "POST /api/documents/search")
            .Where(route => new[] { "/api/documents", "/api/collections", "/api/tasks" }.Any(area => route.Name.Contains(' ' + area, StringComparison.Ordinal)))
            .Where(route => route.Endpoint.Metadata.GetMetadata<IdempotentRoute>() is null)
            .Select(route => route.Name));
        var client = new DocumentClient(await host.RegisterAsync());
        var (document, other) = ((await client.UploadAsync("first.txt", "The weir was built in June.")).Id!.Value, (await client.UploadAsync("other.txt", "The lock was built in May.")).Id!.Value);
        var path = $"/api/documents/{document}";

        var patched = await SendAsync(client, HttpMethod.Patch, path, Json("""{"name":"weir.txt"}"""));
        Assert.Equal((HttpStatusCode.OK, false), (patched.Status, patched.IsReplay));
        await SendAsync(client, HttpMethod.Patch, path, Json("""{"name":"later.txt"}"""), key: null);
        Assert.Equal(patched with { IsReplay = true }, await SendAsync(client, HttpMethod.Patch, path, Json("""{"name":"weir.txt"}""")));
        Assert.Equal("later.txt", (await client.GetAsync(document)).Name);
        Refused(await SendAsync(client, HttpMethod.Patch, path, Json("""{"name":"another.txt"}""")));
        Assert.Equal("later.txt", (await client.GetAsync(document)).Name);

        var replaced = await SendAsync(client, HttpMethod.Put, path + "/content", File("The weir was built in July."));
        Assert.Equal(HttpStatusCode.Accepted, replaced.Status);
        Assert.Equal(replaced with { IsReplay = true }, await SendAsync(client, HttpMethod.Put, path + "/content", File("The weir was built in July.")));
        Refused(await SendAsync(client, HttpMethod.Put, path + "/content", File("The weir was never built.")));

        var uploaded = await SendAsync(client, HttpMethod.Post, "/api/documents", File("The sluice was built in August."));
        Assert.Equal(HttpStatusCode.Created, uploaded.Status);
        Assert.Equal(uploaded with { IsReplay = true }, await SendAsync(client, HttpMethod.Post, "/api/documents", File("The sluice was built in August.")));
        Refused(await SendAsync(client, HttpMethod.Post, "/api/documents", File("The sluice was built in spring.")));

        // What names no body is told apart by its path.
        var cancelled = await SendAsync(client, HttpMethod.Post, path + "/cancel", null);
        var retried = await SendAsync(client, HttpMethod.Post, path + "/retry", null);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Accepted), (cancelled.Status, retried.Status));
        Assert.Equal(cancelled with { IsReplay = true }, await SendAsync(client, HttpMethod.Post, path + "/cancel", null));
        Assert.Equal(retried with { IsReplay = true }, await SendAsync(client, HttpMethod.Post, path + "/retry", null));
        Assert.Equal(DocumentStatus.Received, (await client.GetAsync(document)).Status);
        Refused(await SendAsync(client, HttpMethod.Post, $"/api/documents/{other}/cancel", null));
        Assert.Equal(DocumentStatus.Received, (await client.GetAsync(other)).Status);

        var deleted = await SendAsync(client, HttpMethod.Delete, path, null);
        Assert.Equal(HttpStatusCode.NoContent, deleted.Status);
        Assert.Equal(deleted with { IsReplay = true }, await SendAsync(client, HttpMethod.Delete, path, null));
    }

    private static void Refused(Answer answer)
    {
        Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.Status);
        Assert.Equal("idempotency_key_reused", JsonElement.Parse(answer.Body).GetProperty("code").GetString());
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    /// <summary>With a boundary of its own each time, as clients send it.</summary>
    private static MultipartFormDataContent File(string text)
    {
        var file = new ByteArrayContent(Encoding.UTF8.GetBytes(text));
        file.Headers.ContentType = new MediaTypeHeaderValue("text/plain");
        return new MultipartFormDataContent { { file, "file", "weir.txt" } };
    }

    private static async Task<Answer> SendAsync(DocumentClient client, HttpMethod method, string path, HttpContent? content, string? key = Key)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        if (key is not null)
            request.Headers.Add(IdempotencyKey.Header, key);
        using var response = await client.Http.SendAsync(request, Ct);
        return new Answer(response.StatusCode, await response.Content.ReadAsStringAsync(Ct), response.Headers.Location, response.Headers.Contains("Idempotent-Replayed"));
    }

    private sealed record Answer(HttpStatusCode Status, string Body, Uri? Location, bool IsReplay);
}
