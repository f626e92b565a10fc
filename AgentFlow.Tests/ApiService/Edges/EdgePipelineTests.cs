using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using AgentFlow.ServiceDefaults.Edges;
using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Tests.ApiService.Rooms;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentFlow.Tests.ApiService.Edges;

/// <summary>The order of the middleware, by what it does.</summary>
public sealed class EdgePipelineTests(ApiHost host) : IClassFixture<ApiHost>
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_preflight_of_a_known_origin_is_answered_without_credentials_and_of_others_is_not()
    {
        await using var app = await ApiHost.StartAsync(new() { ["Cors:Origins:0"] = "https://app.example.org", ["FRONTEND_URL"] = "https://front.example.org/" });
        using var client = app.Client();

        foreach (var (origin, allowed) in new[]
        {
            ("https://app.example.org", true), ("https://front.example.org", true), ("https://app.example.org.evil.example", false), ("http://app.example.org", false), ("null", false), ("https://evil.example", false),
        })
        {
            using var preflight = new HttpRequestMessage(HttpMethod.Options, "/api/auth/me");
            preflight.Headers.Add("Origin", origin);
            preflight.Headers.Add("Access-Control-Request-Method", "PATCH");
            preflight.Headers.Add("Access-Control-Request-Headers", "authorization, content-type, idempotency-key");
            using var response = await client.SendAsync(preflight, Ct);

            Assert.Equal(HttpStatusCode.NoContent, response.StatusCode);
            Assert.Equal(allowed ? [origin] : [], response.Headers.TryGetValues("Access-Control-Allow-Origin", out var values) ? values : []);
            Assert.False(response.Headers.Contains("Access-Control-Allow-Credentials"));
        }
    }

    [Fact]
    public async Task A_401_takes_nothing_from_the_users_bucket_and_a_429_says_when_to_come_back()
    {
        await using var app = await ApiHost.StartAsync(new() { ["Limits:RequestsPerMinute"] = "3" }, StopTheClock);
        var (user, other) = (await app.RegisterAsync(), await app.RegisterAsync());
        using var stranger = app.Client(user.Tokens.AccessToken + "x");
        for (var i = 0; i < 10; i++)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await stranger.GetAsync("/api/auth/me", Ct)).StatusCode);
        }

        var remaining = new List<string>();
        for (var i = 0; i < 3; i++)
        {
            using var response = await user.Client.GetAsync("/api/auth/me", Ct);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal(["\"general\";q=3;w=60"], response.Headers.GetValues("RateLimit-Policy"));
            remaining.Add(response.Headers.GetValues("RateLimit").Single().Split(';')[1]);
        }

        using var refused = await user.Client.GetAsync("/api/auth/me", Ct);
        Assert.Equal(["r=2", "r=1", "r=0"], remaining);
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal(20, refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds);
        Assert.Equal("quota_exceeded", JsonElement.Parse(await refused.Content.ReadAsStringAsync(Ct)).GetProperty("code").GetString());
        Assert.Equal(HttpStatusCode.OK, (await other.Client.GetAsync("/api/auth/me", Ct)).StatusCode);
    }

    [Fact]
    public async Task All_ways_to_start_a_run_share_one_bucket()
    {
        await using var app = await ApiHost.StartAsync(new() { ["Limits:ChatPerMinute"] = "2" }, StopTheClock);
        var user = await app.RegisterAsync();
        using var key = await user.KeyClientAsync("chat");

        await user.Client.PostAsync("/api/v1/chat/query", Json("{}"), Ct);
        await key.PostAsync("/api/chat", Json("{}"), Ct);

        Assert.Equal(HttpStatusCode.TooManyRequests, (await key.PostAsync("/api/v1/chat/query", Json("{}"), Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.TooManyRequests, (await user.Client.PostAsync("/api/chat", Json("{}"), Ct)).StatusCode);
        foreach (var path in new[] { "/ws/chat", $"/ws/rooms/{(await RoomReplicas.CreateAsync(user)).Id}" })
        {
            using var socket = await SocketClient.OpenAsync(app.Address, user.Client, path);
            await socket.SendAsync("""{"type":"message","message":"And here?"}""");
            Assert.Equal(429, (await socket.UntilAsync("error")).GetProperty("status").GetInt32());
        }
    }

    [Fact]
    public async Task Spoofed_addresses_share_the_real_ones_bucket()
    {
        await using var app = await ApiHost.StartAsync(new() { ["Limits:AnonymousPerMinute"] = "20" }, StopTheClock);
        using var client = app.Client();
        var refused = 0;
        for (var i = 0; i < 60; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/api/auth/registration");
            request.Headers.Add("X-Forwarded-For", $"203.0.113.{i}");
            request.Headers.Add("X-Real-IP", $"203.0.113.{i}");
            request.Headers.Add("Forwarded", $"for=203.0.113.{i}");
            refused += (await client.SendAsync(request, Ct)).StatusCode is HttpStatusCode.TooManyRequests ? 1 : 0;
        }

        // The administrator's registration took one.
        Assert.Equal(41, refused);
        Assert.InRange(app.Services.GetRequiredService<global::AgentFlow.ApiService.Limits.CallerLimits>().Partitions, 1, 3);
    }

    [Fact]
    public async Task Browsers_behind_our_Web_have_a_bucket_each_and_nobody_else_can_claim_one()
    {
        await using var app = await ApiHost.StartAsync(new() { ["Limits:AnonymousPerMinute"] = "3" }, StopTheClock);
        var codec = app.Services.GetRequiredService<JwtCodec>();
        using var client = app.Client();
        async Task<int> RefusedAsync(int requests, Func<int, string> browser, Func<HttpRequestMessage, string, string?> token)
        {
            var refused = 0;
            for (var i = 0; i < requests; i++)
            {
                using var request = new HttpRequestMessage(HttpMethod.Get, "/api/auth/registration");
                request.Headers.Add(FrontEnd.ClientHeader, browser(i));
                if (token(request, browser(i)) is { } credential)
                {
                    request.Headers.Add(FrontEnd.TokenHeader, credential);
                }

                refused += (await client.SendAsync(request, Ct)).StatusCode is HttpStatusCode.TooManyRequests ? 1 : 0;
            }

            return refused;
        }

        var signed = codec.Sign(TokenProfile.Web, TokenProfile.WebSubject, TokenProfile.Web.MaxLifetime);
        var internalToken = app.Services.GetRequiredService<InternalTokens>().Issue(app.Admin.Id.Value, ["memory.read"]);

        // One stranger uses up what is his, and the others behind the same Web go on.
        Assert.InRange(await RefusedAsync(30, _ => "203.0.113.1", (_, _) => signed), 20, 27);
        Assert.Equal(0, await RefusedAsync(30, i => $"203.0.113.{i + 2}", (_, _) => signed));
        foreach (var credential in new[] { null, "x", app.Admin.Tokens.AccessToken, internalToken, codec.Sign(TokenProfile.Web, app.Admin.Id.Value, TokenProfile.Web.MaxLifetime) })
        {
            Assert.InRange(await RefusedAsync(30, i => $"198.51.100.{i}", (_, _) => credential), 20, 30);
        }
    }

    [Fact]
    public async Task In_production_our_Web_reaches_the_API_by_its_service_name_and_others_are_sent_to_https()
    {
        await using var app = await ApiHost.StartAsync(new() { ["Test:Environment"] = "Production", ["Test:NoAdmin"] = "1", ["AllowedHosts"] = "api;agents.example.org" });
        var codec = app.Services.GetRequiredService<JwtCodec>();
        using var client = app.Client();
        async Task<HttpStatusCode> StatusAsync(string host, bool signed)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/api/auth/registration") { Headers = { Host = host } };
            if (signed)
            {
                FrontEnd.Sign(request, codec, "203.0.113.7");
            }

            return (await client.SendAsync(request, Ct)).StatusCode;
        }

        Assert.Equal(HttpStatusCode.OK, await StatusAsync("api:8080", signed: true));
        Assert.Equal(HttpStatusCode.PermanentRedirect, await StatusAsync("agents.example.org", signed: false));
        Assert.Equal(HttpStatusCode.PermanentRedirect, await StatusAsync("localhost", signed: false));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync("rebound.example", signed: true));
    }

    [Fact]
    public async Task A_trusted_proxy_is_believed_about_address_and_scheme()
    {
        await using var app = await ApiHost.StartAsync(new() { ["Limits:AnonymousPerMinute"] = "5", ["Edges:TrustedProxies:0"] = "127.0.0.1", ["Edges:HttpsRedirect"] = "true", ["Test:NoAdmin"] = "1" });
        using var client = app.Client();
        for (var i = 0; i < 20; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/api/auth/registration");
            request.Headers.Add("X-Forwarded-For", $"203.0.113.{i}");
            request.Headers.Add("X-Forwarded-Proto", "https");
            using var response = await client.SendAsync(request, Ct);
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
            Assert.Equal(["max-age=31536000; includeSubDomains"], response.Headers.GetValues("Strict-Transport-Security"));
        }
    }

    [Fact]
    public async Task Refusals_are_logged_without_the_address_bars_content()
    {
        var log = new Capture();
        await using var app = await ApiHost.StartAsync(
            new() { ["Limits:RequestsPerMinute"] = "1", ["Logging:LogLevel:Default"] = "Information" }, builder =>
            {
                StopTheClock(builder);
                builder.Services.AddSingleton<ILoggerProvider>(log);
            });
        var user = await app.RegisterAsync();
        using var stranger = app.Client("garbage");
        await stranger.GetAsync("/api/auth/me?canary=secret-in-query", Ct);
        await stranger.GetAsync("/api/nothing/%0d%0aINFO%20admin%20logged%20in?x=%0d%0aINFO", Ct);
        await user.Client.GetAsync("/api/auth/me", Ct);
        await user.Client.GetAsync("/api/auth/me?canary=secret-in-query", Ct);
        foreach (var path in new[] { "/api/nothing/%1b%5b31mred%1b%5b0m", "/api/runs/%0d%0aINFO%20admin%20logged%20in", "/api/agents/%1b%5d0;title%07%c2%9b31m", "/api/agents/%e2%80%ae%e2%80%a8INFO" })
        {
            // The bucket is empty: each is refused with a line that names it.
            await user.Client.GetAsync(path, Ct);
            await stranger.GetAsync(path, Ct);
        }

        Assert.Contains(log.Lines, line => line.Contains("GET /api/auth/me answered 401", StringComparison.Ordinal));
        Assert.Contains(log.Lines, line => line.Contains("answered 429", StringComparison.Ordinal));
        Assert.DoesNotContain(log.Lines, line => line.Contains("canary", StringComparison.Ordinal) || line.Any(character => char.IsControl(character) || character is '\u2028' or '\u202e'));
    }

    [Fact]
    public async Task A_failure_inside_authentication_is_problem_details()
    {
        await using var app = await ApiHost.StartAsync([]);
        await using (var admin = NpgsqlDataSource.Create(app.ConnectionString))
        {
            await using var command = admin.CreateCommand("alter table agentflow_api.users rename to users_gone");
            await command.ExecuteNonQueryAsync(Ct);
        }

        using var response = await app.Admin.Client.GetAsync("/api/auth/me", Ct);
        var body = await response.Content.ReadAsStringAsync(Ct);

        Assert.Equal((HttpStatusCode.InternalServerError, "application/problem+json"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        Assert.DoesNotContain("users", body, StringComparison.Ordinal);
        Assert.Equal(["nosniff"], response.Headers.GetValues("X-Content-Type-Options"));
        using var client = app.Client();
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/health", Ct)).StatusCode);
    }

    [Fact]
    public async Task Outside_development_http_leads_to_https_and_nothing_inner_is_shown()
    {
        await using var app = await ApiHost.StartAsync(new() { ["Test:Environment"] = "Production", ["Test:NoAdmin"] = "1", ["Edges:HttpsPort"] = "8443" });
        using var client = app.Client();

        using var redirect = await client.GetAsync("/api/auth/registration?a=b", Ct);
        Assert.Equal((HttpStatusCode.PermanentRedirect, $"https://127.0.0.1:8443/api/auth/registration?a=b"), (redirect.StatusCode, redirect.Headers.Location!.OriginalString));
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/health", Ct)).StatusCode);
        Assert.NotEqual(HttpStatusCode.PermanentRedirect, (await client.GetAsync("/ready", Ct)).StatusCode);

        await using var inner = await ApiHost.StartAsync(new() { ["Test:Environment"] = "Production", ["Edges:HttpsRedirect"] = "false" });
        using var plain = inner.Client();
        Assert.Equal(HttpStatusCode.NotFound, (await plain.GetAsync("/openapi/v1.json", Ct)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await plain.GetAsync("/docs/index.html", Ct)).StatusCode);
        using var bad = await plain.PostAsync("/api/auth/login", Json("{"), Ct);
        Assert.Equal(HttpStatusCode.BadRequest, bad.StatusCode);
        Assert.DoesNotContain("Exception", await bad.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answers_carry_the_headers_that_keep_browsers_from_guessing()
    {
        using var client = host.Client();
        var user = await host.RegisterAsync();
        foreach (var response in new[]
        {
            await client.GetAsync("/health", Ct), await client.GetAsync("/api/auth/me", Ct), await client.GetAsync("/api/nothing", Ct), await client.PostAsync("/api/auth/login", Json("{"), Ct),
            await user.Client.PostAsync("/api/chat", Json("""{"message":""}"""), Ct), await user.Client.PostAsync("/api/chat", new StringContent("x"), Ct), await user.Client.PatchAsync("/api/auth/me", Json(new string(' ', 100_000)), Ct),
        })
        {
            using var disposed = response;
            Assert.Equal(["nosniff"], response.Headers.GetValues("X-Content-Type-Options"));
            Assert.Equal(["default-src 'none'; frame-ancestors 'none'; sandbox"], response.Headers.GetValues("Content-Security-Policy"));
            Assert.Equal(["no-referrer"], response.Headers.GetValues("Referrer-Policy"));
            Assert.True(response.Headers.CacheControl!.NoStore);
            Assert.False(response.Headers.Contains("Server"));
            Assert.False(response.Headers.Contains("X-Powered-By"));
            Assert.True(response.Headers.Contains("RateLimit") && response.Headers.Contains("RateLimit-Policy"), $"{response}");
        }
    }

    /// <summary>No bucket refills while a slow machine sends its requests.</summary>
    private static void StopTheClock(WebApplicationBuilder builder) => builder.Services.AddSingleton<TimeProvider>(new StoppedClock());

    private static StringContent Json(string body) => new(body, System.Text.Encoding.UTF8, "application/json");

    private sealed class Capture : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Lines.Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
