using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using AgentFlow.ServiceDefaults.Settings;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Tests.ServiceDefaults.Tokens;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.Access;

/// <summary>Row 43 and 44 over HTTP: every malformed token on a route that asks for one, with a listener that no token may make us call.</summary>
public sealed class HostileTokenTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_malformed_token_is_401_and_makes_no_request()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var user = await host.RegisterAsync();
        var now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        var tokens = MalformedTokens.All(ApiHost.Secret, "t1", now, user.Id.Value, $"http://{listener.LocalEndpoint}/").ToDictionary();
        tokens["without a session"] = MalformedTokens.Valid(ApiHost.Secret, "t1", now, user.Id.Value);
        tokens["of another service"] = host.Services.GetRequiredService<InternalTokens>().Issue(user.Id.Value, ["memory.read"]);
        tokens["refresh token"] = user.Tokens.RefreshToken;
        tokens["prefix of a key"] = "af_AAAAAAAA";
        var wrong = new List<string>();
        foreach (var (name, token) in tokens)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/api/auth/me");
            if (!request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + token))
            {
                continue;
            }

            try
            {
                using var response = await host.Client().SendAsync(request, Ct);
                // More than Kestrel takes, or bytes that are no header, never reach us.
                var beforeUs = name is "30 KB" or "binary" or "trailing newline" && (int)response.StatusCode is 400 or 431;
                var challenge = response.Headers.WwwAuthenticate.ToString();
                if (!beforeUs && (response.StatusCode is not HttpStatusCode.Unauthorized || (challenge != "Bearer error=\"invalid_token\"" && name != "empty")))
                {
                    wrong.Add($"{name}: {(int)response.StatusCode} {challenge}");
                }
            }
            catch (HttpRequestException) when (name is "binary" or "trailing newline" or "claims not UTF-8")
            {
                // The client library refuses to send it.
            }
        }

        Assert.True(tokens.Count >= 30);
        Assert.True(wrong.Count == 0, string.Join(Environment.NewLine, wrong));
        Assert.False(listener.Pending());
    }

    [Fact]
    public async Task A_good_token_beside_a_second_credential_or_in_the_address_is_refused()
    {
        var user = await host.RegisterAsync();
        using var both = host.Client(user.Tokens.AccessToken);
        both.DefaultRequestHeaders.Add("X-API-Key", "af_x");
        using var basic = host.Client();
        basic.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Basic", user.Tokens.AccessToken);
        using var plain = host.Client();

        Assert.Equal(HttpStatusCode.Unauthorized, (await both.GetAsync("/api/auth/me", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await basic.GetAsync("/api/auth/me", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await plain.GetAsync($"/api/auth/me?access_token={user.Tokens.AccessToken}", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await plain.GetAsync($"/api/auth/me?api_key=af_x&token={user.Tokens.AccessToken}", Ct)).StatusCode);
    }

    [Fact]
    public async Task Without_a_set_up_token_an_installation_without_accounts_does_not_start_and_one_with_accounts_does()
    {
        var error = await Assert.ThrowsAsync<SettingException>(() => ApiHost.StartAsync(new() { ["Auth:SetupToken"] = null, ["Test:NoAdmin"] = "1" }));
        Assert.Contains("Auth:SetupToken", error.Message, StringComparison.Ordinal);

        await using var later = await ApiHost.StartAsync(new() { ["Auth:SetupToken"] = null, ["Test:NoAdmin"] = "1", ["ConnectionStrings:agentflow-api"] = host.ConnectionString });
        using var client = later.Client();
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/health", Ct)).StatusCode);
    }

    [Theory]
    [InlineData("Auth:Keys", null)]
    [InlineData("Auth:Keys", "t1:c2hvcnQ=")]
    [InlineData("Auth:Keys", "t1:Y2hhbmdlLW1lLWNoYW5nZS1tZS1jaGFuZ2UtbWUtY2hhbmdlLW1l")]
    [InlineData("Auth:SetupToken", "short")]
    [InlineData("Auth:SetupToken", "change-me-change-me-change-me")]
    [InlineData("Edges:TrustedProxies:0", "everybody")]
    [InlineData("Limits:Connections", "1")]
    [InlineData("Cors:Origins:0", "*")]
    [InlineData("Cors:Origins:0", "https://app.example.org/path")]
    [InlineData("Limits:ChatPerMinute", "0")]
    [InlineData("Limits:ChatPerMinute", "many")]
    [InlineData("Auth:Registration", "sometimes")]
    public async Task A_secret_or_edge_setting_that_is_unset_short_or_an_example_stops_the_start(string key, string? value)
    {
        var error = await Assert.ThrowsAnyAsync<Exception>(() => ApiHost.StartAsync(new() { [key] = value, ["Test:NoAdmin"] = "1", ["ConnectionStrings:agentflow-api"] = host.ConnectionString }));

        Assert.Contains(key.Split(':')[0], error.Message, StringComparison.Ordinal);
        if (value is { Length: > 6 } && key.StartsWith("Auth:Keys", StringComparison.Ordinal))
        {
            Assert.DoesNotContain(value.Split(':')[^1], error.Message, StringComparison.Ordinal);
        }
    }
}
