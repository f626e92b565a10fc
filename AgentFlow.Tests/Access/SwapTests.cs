using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.ApiService.OpenApi;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;

namespace AgentFlow.Tests.Access;

/// <summary>Two people: one has things, the other knows every id. What is not his is not there for him, and nothing happens to it.</summary>
public sealed class SwapTests(FullHost full) : IClassFixture<FullHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private ApiHost Host => full.Api;

    [Fact]
    public async Task No_route_shows_or_touches_what_belongs_to_another()
    {
        var victim = await Belongings.MakeAsync(await Host.RegisterAsync("victim"));
        await SettledAsync(victim);
        var thief = await Host.RegisterAsync("thief");
        var before = await victim.SnapshotAsync();
        var deviations = new List<string>();
        var asked = 0;
        foreach (var (method, endpoint, name) in RouteTable.Of(Host.App))
        {
            if (endpoint.RoutePattern.Parameters.Count == 0 || RouteTable.Access.GetValueOrDefault(name) is null or "anyone" or "web" or "admin")
            {
                continue;
            }

            var pattern = "/" + endpoint.RoutePattern.RawText!.Trim('/');
            using var response = await SendAsync(thief.Client, method, RouteTable.Fill(endpoint, parameter => victim.Of(pattern, parameter)), endpoint);
            asked++;
            if (response.StatusCode is not HttpStatusCode.NotFound)
            {
                deviations.Add($"{name}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Ct)}");
            }
        }

        Assert.True(deviations.Count == 0, string.Join(Environment.NewLine, deviations));
        Assert.True(asked >= 25, $"{asked}");
        Assert.Equal(before, await victim.SnapshotAsync());
    }

    [Fact]
    public async Task No_id_inside_a_body_reaches_what_belongs_to_another()
    {
        var (victim, thief) = (await Belongings.MakeAsync(await Host.RegisterAsync("victim")), await Belongings.MakeAsync(await Host.RegisterAsync("thief")));
        await SettledAsync(victim);
        var before = await victim.SnapshotAsync();
        using var client = Host.Client();
        var document = JsonElement.Parse(await client.GetStringAsync("/openapi/v1.json", Ct));
        var deviations = new List<string>();
        var fields = 0;
        foreach (var (method, path, operation) in Operations(document))
        {
            if (path.StartsWith("/api/admin", StringComparison.Ordinal) || Examples.ForOperation(operation.GetProperty("operationId").GetString()) is not JsonObject)
            {
                continue;
            }

            foreach (var field in IdFields(document, operation))
            {
                var body = Examples.ForOperation(operation.GetProperty("operationId").GetString())!.AsObject();
                if (path is "/api/collections/{id}/members" or "/api/rooms/{id}/members")
                {
                    continue; // Naming somebody else is what sharing is; whose collection or room it is was asked above.
                }

                body[field] = victim.Of(path, field);
                if (field == "parentMessageId")
                {
                    body.Remove("conversationId");
                }

                // Below what is his own, so that it is the field that is judged.
                var target = string.Join('/', path.Split('/').Select(segment => segment.StartsWith('{') ? thief.Of(path, segment.Trim('{', '}')) : segment));
                using var request = new HttpRequestMessage(new HttpMethod(method), target) { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") };
                using var response = await thief.Owner.Client.SendAsync(request, Ct);
                fields++;
                if ((int)response.StatusCode is < 400 or >= 500)
                {
                    deviations.Add($"{method} {path} {field}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Ct)}");
                }
            }
        }

        Assert.True(deviations.Count == 0, string.Join(Environment.NewLine, deviations));
        Assert.True(fields >= 3, $"{fields}");
        Assert.Equal(before, await victim.SnapshotAsync());
    }

    [Fact]
    public async Task A_childs_id_counts_only_below_its_own_parent()
    {
        var (victim, thief) = (await Belongings.MakeAsync(await Host.RegisterAsync("victim")), await Belongings.MakeAsync(await Host.RegisterAsync("thief")));
        await SettledAsync(victim);
        var before = await victim.SnapshotAsync();

        Assert.Equal(HttpStatusCode.NotFound, (await thief.Owner.Client.PutAsync($"/api/collections/{thief.Collection}/documents/{victim.Document}", null, Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await thief.Owner.Client.PutAsync($"/api/collections/{victim.Collection}/documents/{thief.Document}", null, Ct)).StatusCode);
        using var into = new MultipartFormDataContent { { new StringContent(victim.Collection.ToString()), "collection" }, { new StringContent("x", Encoding.UTF8, "text/plain"), "file", "x.txt" } };
        Assert.Equal(HttpStatusCode.NotFound, (await thief.Owner.Client.PostAsync("/api/documents", into, Ct)).StatusCode);
        using var parent = await thief.Owner.Client.PostAsJsonAsync("/api/v1/chat/query", new { question = "x", conversationId = victim.Conversation }, Ct);
        Assert.Equal(HttpStatusCode.NotFound, parent.StatusCode);
        using var mixed = await thief.Owner.Client.PostAsJsonAsync("/api/chat", new { message = "x", conversationId = thief.Conversation, parentMessageId = victim.Message, stream = false }, Ct);
        Assert.InRange((int)mixed.StatusCode, 400, 404);
        using var resumed = new HttpRequestMessage(HttpMethod.Get, $"/api/runs/{thief.Run}/events");
        resumed.Headers.TryAddWithoutValidation("Last-Event-ID", $"{victim.Run}.1");
        Assert.InRange((int)(await thief.Owner.Client.SendAsync(resumed, Ct)).StatusCode, 400, 404);
        Assert.Equal(before, await victim.SnapshotAsync());
    }

    [Fact]
    public async Task No_search_or_list_of_another_finds_the_canary()
    {
        var victim = await Belongings.MakeAsync(await Host.RegisterAsync("victim"));
        await SettledAsync(victim);
        var thief = await Host.RegisterAsync("thief");

        foreach (var (path, body) in new (string, object?)[]
        {
            ("/api/documents/search", new { query = Belongings.Canary }), ("/api/memories/search", new { query = Belongings.Canary }),
            ($"/api/chat/search?q={Belongings.Canary}", null), ("/api/documents", null), ("/api/chat", null), ("/api/memories", null), ("/api/collections", null), ("/api/rooms", null), ("/api/tasks", null),
        })
        {
            using var mine = body is null ? await victim.Owner.Client.GetAsync(path, Ct) : await victim.Owner.Client.PostAsJsonAsync(path, body, Ct);
            using var his = body is null ? await thief.Client.GetAsync(path, Ct) : await thief.Client.PostAsJsonAsync(path, body, Ct);
            Assert.True(path == "/api/tasks" || (await mine.Content.ReadAsStringAsync(Ct)).Contains(Belongings.Canary, StringComparison.OrdinalIgnoreCase), $"the owner finds it: {path}");
            Assert.Equal(HttpStatusCode.OK, his.StatusCode);
            Assert.Empty(JsonElement.Parse(await his.Content.ReadAsStringAsync(Ct)).GetProperty("items").EnumerateArray());
        }

        using var answer = await thief.Client.PostAsJsonAsync("/api/v1/chat/query", new { question = $"Tell me of the {Belongings.Canary}, which sings at dawn." }, Ct);
        Assert.DoesNotContain("sings at dawn\",", (await answer.Content.ReadAsStringAsync(Ct)).Replace("which sings at dawn", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Empty(JsonElement.Parse(await answer.Content.ReadAsStringAsync(Ct)).GetProperty("chunks").EnumerateArray());
    }

    /// <summary>Its document is ready and nothing changes by itself any more.</summary>
    private static async Task SettledAsync(Belongings victim)
    {
        var status = await Patience.UntilAsync(
            async () => JsonElement.Parse(await victim.Owner.Client.GetStringAsync($"/api/documents/{victim.Document}", Ct)).GetProperty("status").GetString(),
            status => status is "ready" or "failed",
            "the victim's document");
        Assert.Equal("ready", status);
    }

    private static async Task<HttpResponseMessage> SendAsync(HttpClient client, string method, string path, RouteEndpoint endpoint)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Headers.Add(RouteCoverage.NotCounted, "1");
        if (method is "POST" or "PUT" or "PATCH")
        {
            var name = endpoint.Metadata.GetMetadata<IEndpointNameMetadata>()?.EndpointName;
            request.Content = endpoint.Metadata.GetMetadata<IAcceptsMetadata>()?.ContentTypes.Contains("multipart/form-data") is true || path.EndsWith("/content", StringComparison.Ordinal)
                ? new MultipartFormDataContent { { new StringContent("x", Encoding.UTF8, "text/plain"), "file", "x.txt" } }
                : new StringContent(Examples.ForOperation(name)?.ToJsonString() ?? "{}", Encoding.UTF8, "application/json");
        }

        return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Ct);
    }

    private static IEnumerable<(string Method, string Path, JsonElement Operation)> Operations(JsonElement document) => document.GetProperty("paths").EnumerateObject()
        .SelectMany(path => path.Value.EnumerateObject().Where(member => member.Name is "post" or "put" or "patch").Select(member => (member.Name.ToUpperInvariant(), path.Name, member.Value)));

    /// <summary>Members of the JSON body whose format is uuid, one level deep.</summary>
    private static IEnumerable<string> IdFields(JsonElement document, JsonElement operation)
    {
        if (!operation.TryGetProperty("requestBody", out var body) || !body.GetProperty("content").TryGetProperty("application/json", out var json)
            || !Resolve(document, json.GetProperty("schema")).TryGetProperty("properties", out var properties))
        {
            return [];
        }

        return properties.EnumerateObject().Where(property => IsId(document, property.Value)).Select(property => property.Name).ToArray();
    }

    private static bool IsId(JsonElement document, JsonElement schema) =>
        Resolve(document, schema) is var resolved
        && ((resolved.TryGetProperty("format", out var format) && format.GetString() == "uuid")
            || (resolved.TryGetProperty("oneOf", out var either) && either.EnumerateArray().Any(one => IsId(document, one))));

    private static JsonElement Resolve(JsonElement document, JsonElement schema) => schema.TryGetProperty("$ref", out var reference)
        ? reference.GetString()!.Split('/').Skip(1).Aggregate(document, (element, name) => element.GetProperty(name))
        : schema;
}
