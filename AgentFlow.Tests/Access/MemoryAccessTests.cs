using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.Access;

/// <summary>The memory service's routes, Mem0's among them, times its kinds of callers; and one owner's ids in another's hands.</summary>
public sealed class MemoryAccessTests(FullHost full) : IClassFixture<FullHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private Uri Address => new(full.Api.Memory.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

    [Fact]
    public async Task Every_route_declares_a_policy_and_keeps_to_it()
    {
        var owner = Guid.CreateVersion7();
        var user = await full.Api.RegisterAsync();
        var tokens = full.Api.Services.GetRequiredService<InternalTokens>();
        var callers = new (string Name, HttpClient Client, string[] Scopes)[]
        {
            ("anonymous", Client(null), []),
            ("garbage", Client("garbage"), []),
            ("access token of the API", Client(user.Tokens.AccessToken), []),
            ("API key of the API", Client("af_" + new string('A', 43)), []),
            ("read key", Client(await KeyAsync(owner, "read")), ["read"]),
            ("write key", Client(await KeyAsync(owner, "write")), ["write"]),
            ("admin key", Client(await KeyAsync(owner, "admin")), ["admin"]),
            ("internal token", Client(tokens.Issue(owner, ["memory.read"])), ["read"]),
            ("internal token without scopes", Client(tokens.Issue(owner, [])), ["none"]),
        };
        var deviations = new List<string>();
        foreach (var (method, endpoint, name) in RouteTable.Of(full.Api.Memory))
        {
            if (endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null)
            {
                continue;
            }

            if (endpoint.Metadata.GetMetadata<IAuthorizeData>()?.Policy is not { } policy)
            {
                deviations.Add($"{name} declares nothing");
                continue;
            }

            var scope = policy.Split('.')[^1];
            foreach (var (caller, client, scopes) in callers)
            {
                // Never as somebody who may delete everything: the other tests' memories are not this owner's, but its own keys are.
                var status = await SendAsync(client, method, RouteTable.Fill(endpoint, Unknown));
                // Without a subject, Mem0's own server lists everything: for its administrator only.
                if (name == "GET /memories" && scopes is ["read"])
                {
                    Assert.Equal(HttpStatusCode.Forbidden, status);
                    continue;
                }

                var wanted = scopes.Length == 0 ? "401" : scopes.Contains(scope) ? "inside" : "403";
                var got = status switch { HttpStatusCode.Unauthorized => "401", HttpStatusCode.Forbidden => "403", < HttpStatusCode.InternalServerError or HttpStatusCode.NotImplemented => "inside", _ => "5xx" };
                if (wanted != got)
                {
                    deviations.Add($"{name} ({policy}) as {caller}: {(int)status}, wanted {wanted}");
                }
            }
        }

        Assert.True(deviations.Count == 0, string.Join(Environment.NewLine, deviations.Take(60)));
    }

    [Fact]
    public async Task Another_owners_memory_is_not_there_whatever_the_route()
    {
        var (victim, thief) = (Guid.CreateVersion7(), Guid.CreateVersion7());
        using var mine = Client(await KeyAsync(victim, "read", "write"));
        using var his = Client(await KeyAsync(thief, "read", "write", "admin"));
        using var added = await mine.PostAsJsonAsync("/api/memories", new { text = "The vault is behind the clock.", userId = "ada" }, Ct);
        var id = JsonElement.Parse(await added.Content.ReadAsStringAsync(Ct)).GetProperty("items")[0].GetProperty("id").GetString()!;
        var before = await mine.GetStringAsync($"/api/memories/{id}", Ct);
        var shown = new List<string>();
        foreach (var (method, endpoint, name) in RouteTable.Of(full.Api.Memory))
        {
            if (endpoint.Metadata.GetMetadata<IAllowAnonymous>() is not null)
            {
                continue;
            }

            var path = RouteTable.Fill(endpoint, parameter => parameter == "type" ? "user" : endpoint.RoutePattern.RawText!.Contains("entities", StringComparison.Ordinal) ? "ada" : id);
            using var request = new HttpRequestMessage(new HttpMethod(method), path + (method == "GET" ? "?user_id=ada&userId=ada" : ""));
            if (method is not "GET")
            {
                request.Content = new StringContent(
                    $$"""{"query":"vault","filters":{"user_id":"ada"},"user_id":"ada","memory_id":"{{id}}","text":"gone","memories":[{"memory_id":"{{id}}","text":"gone"}]}""", Encoding.UTF8, "application/json");
            }

            using var response = await his.SendAsync(request, Ct);
            var body = await response.Content.ReadAsStringAsync(Ct);
            if (body.Contains("behind the clock", StringComparison.Ordinal) || (int)response.StatusCode >= 500 && response.StatusCode is not HttpStatusCode.NotImplemented)
            {
                shown.Add($"{name}: {(int)response.StatusCode} {body}");
            }
        }

        Assert.True(shown.Count == 0, string.Join(Environment.NewLine, shown));
        Assert.Equal(before, await mine.GetStringAsync($"/api/memories/{id}", Ct));
    }

    private static string Unknown(string parameter) => parameter switch
    {
        "type" => "user",
        "documentName" => "v1",
        _ => "0199a000-0000-7000-8000-00000000dead",
    };

    private static async Task<HttpStatusCode> SendAsync(HttpClient client, string method, string path)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Headers.Add(RouteCoverage.NotCounted, "1");
        if (method is not "GET")
        {
            request.Content = new StringContent("{}", Encoding.UTF8, "application/json");
        }

        using var response = await client.SendAsync(request, Ct);
        return response.StatusCode;
    }

    private HttpClient Client(string? bearer)
    {
        var client = full.Api.Client(bearer);
        client.BaseAddress = Address;
        return client;
    }

    private async Task<string> KeyAsync(Guid owner, params string[] scopes) =>
        (await full.Api.Memory.Services.GetRequiredService<ApiKeyStore>().CreateAsync(owner, new NewMemoryKey { Name = "test", Scopes = scopes }, Ct)).Secret;
}
