using System.Net;
using System.Net.Http.Json;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Admin;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing;

namespace AgentFlow.Tests.Access;

/// <summary>Every route of the running service times every kind of caller, each with a declared answer.</summary>
public sealed class AccessMatrixTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private enum Answer
    {
        /// <summary>Whatever the route says to an empty or unknown thing: never 401, 403 or a failure of ours.</summary>
        Inside,
        Unauthorized,
        Forbidden,
    }

    [Fact]
    public void Every_route_is_declared_and_every_declared_route_exists()
    {
        var routes = RouteTable.Of(host.App).Select(route => route.Name).ToHashSet(StringComparer.Ordinal);

        None(routes.Except(RouteTable.Access.Keys).Select(route => $"{route} is not declared"));
        None(RouteTable.Access.Keys.Except(routes).Select(route => $"{route} does not exist"));
    }

    [Fact]
    public async Task Every_route_answers_every_kind_of_caller_as_declared()
    {
        var callers = await CallersAsync();
        var deviations = new List<string>();
        var asked = 0;
        foreach (var (method, endpoint, name) in RouteTable.Of(host.App))
        {
            // It ends the sign-in that asks: last, below.
            if (!RouteTable.Access.TryGetValue(name, out var access) || name.Contains("/logout", StringComparison.Ordinal))
            {
                continue;
            }

            foreach (var (caller, client) in callers)
            {
                var status = await SendAsync(client, method, RouteTable.Fill(endpoint, Unknown), endpoint);
                var wanted = Wanted(access, caller);
                asked++;
                if (!Fits(status, wanted))
                {
                    deviations.Add($"{name} as {caller}: {(int)status}, wanted {wanted}");
                }
            }
        }

        None(deviations);
        Assert.True(asked > 300, $"{asked}");
    }

    [Fact]
    public async Task An_unknown_id_is_not_found_for_whoever_may_ask()
    {
        var deviations = new List<string>();
        foreach (var (method, endpoint, name) in RouteTable.Of(host.App))
        {
            if (method is not ("GET" or "DELETE") || endpoint.RoutePattern.Parameters.Count == 0 || RouteTable.Access.GetValueOrDefault(name) is null or "anyone" or "web"
                || name.Contains("/api/memories", StringComparison.Ordinal))
            {
                continue;
            }

            var status = await SendAsync(host.Admin.Client, method, RouteTable.Fill(endpoint, Unknown), endpoint);
            var nonsense = await SendAsync(host.Admin.Client, method, RouteTable.Fill(endpoint, _ => "not-an-id"), endpoint);
            if (status is not HttpStatusCode.NotFound || nonsense is not (HttpStatusCode.NotFound or HttpStatusCode.BadRequest))
            {
                deviations.Add($"{name}: {(int)status}, {(int)nonsense}");
            }
        }

        None(deviations);
    }

    private static void None(IEnumerable<string> problems)
    {
        var all = problems.Order(StringComparer.Ordinal).ToArray();
        Assert.True(all.Length == 0, $"{all.Length}:{Environment.NewLine}{string.Join(Environment.NewLine, all)}");
    }

    /// <summary>The matrix' right side. Written out once more on purpose: the product's own rule is what is tested.</summary>
    private static Answer Wanted(string access, string caller) => (access, caller) switch
    {
        ("anyone", _) => Answer.Inside,
        (_, "anonymous" or "disabled" or "revoked key" or "expired token" or "garbage") => Answer.Unauthorized,
        ("web", _) => Answer.Forbidden,
        ("admin", "admin" or "admin key") => Answer.Inside,
        ("admin", _) => Answer.Forbidden,
        ("person", "user" or "admin") => Answer.Inside,
        ("person", _) => Answer.Forbidden,
        (_, "user" or "admin" or "write key") => Answer.Inside,
        ("read" or "chat-read" or "documents-read" or "memory-read", "read key") => Answer.Inside,
        (_, "read key" or "admin key") => Answer.Forbidden,
        ("documents-read" or "documents-write", "documents key") => Answer.Inside,
        ("memory-read" or "memory-write", "memory key") => Answer.Inside,
        ("chat-read" or "chat-write", "chat key") => Answer.Inside,
        (_, "documents key" or "memory key" or "chat key") => Answer.Forbidden,
        _ => throw new InvalidOperationException($"Nothing is declared for {caller} at {access}."),
    };

    private static bool Fits(HttpStatusCode status, Answer wanted) => wanted switch
    {
        Answer.Unauthorized => status is HttpStatusCode.Unauthorized,
        Answer.Forbidden => status is HttpStatusCode.Forbidden,
        // The memory service is not there in this test: 503 says so.
        _ => status is not (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden) && ((int)status < 500 || status is HttpStatusCode.ServiceUnavailable),
    };

    private async Task<IReadOnlyList<(string Name, HttpClient Client)>> CallersAsync()
    {
        var user = await host.RegisterAsync("matrix");
        var disabled = await host.RegisterAsync("disabled");
        using var patched = await host.Admin.Client.PatchAsJsonAsync($"/api/admin/users/{disabled.Id}", new AdminUserPatch { Disabled = true }, ContractJson.Options, Ct);
        Assert.Equal(HttpStatusCode.OK, patched.StatusCode);
        var revoked = await user.KeyClientAsync("read", "write");
        var keys = await user.Client.GetFromJsonAsync<Page<Contracts.Auth.ApiKeySummary>>("/api/auth/keys", ContractJson.Options, Ct);
        (await user.Client.DeleteAsync($"/api/auth/keys/{keys!.Items[0].Id}", Ct)).EnsureSuccessStatusCode();
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        return
        [
            ("anonymous", host.Client()),
            ("garbage", host.Client("garbage")),
            ("expired token", host.Client(AgentFlow.Tests.ServiceDefaults.Tokens.MalformedTokens.Valid(ApiHost.Secret, "t1", now - 2_000, user.Id.Value))),
            ("disabled", disabled.Client),
            ("revoked key", revoked),
            ("read key", await user.KeyClientAsync("read")),
            ("write key", await user.KeyClientAsync("write")),
            ("chat key", await user.KeyClientAsync("chat")),
            ("memory key", await user.KeyClientAsync("memory")),
            ("documents key", await user.KeyClientAsync("documents")),
            ("admin key", await host.Admin.KeyClientAsync("admin")),
            ("user", user.Client),
            ("admin", host.Admin.Client),
        ];
    }

    private static string Unknown(string parameter) => parameter switch
    {
        "slug" or "name" => "nothing-of-this-name",
        "documentName" => "v1",
        "key" => new string('0', 64),
        _ => "0199a000-0000-7000-8000-00000000dead",
    };

    private static async Task<HttpStatusCode> SendAsync(HttpClient client, string method, string path, RouteEndpoint endpoint)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        request.Headers.Add(RouteCoverage.NotCounted, "1");
        if (method is "POST" or "PUT" or "PATCH")
        {
            // Routing itself refuses another media type than the route takes, before anybody is asked who they are.
            request.Content = endpoint.Metadata.GetMetadata<IAcceptsMetadata>()?.ContentTypes.Contains("multipart/form-data") is true
                ? new MultipartFormDataContent { { new StringContent("x"), "nothing" } }
                : new StringContent("{}", Encoding.UTF8, "application/json");
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Ct);
        limit.CancelAfter(Patience.Limit);
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
        return response.StatusCode;
    }
}
