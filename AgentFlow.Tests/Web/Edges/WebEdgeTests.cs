using System.Net;
using System.Net.WebSockets;
using System.Text;
using System.Text.RegularExpressions;
using AgentFlow.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.Web.Edges;

/// <summary>What browsers and those who pretend to be one get from the Web in production, with the real process.</summary>
public sealed partial class WebEdgeTests(WebEdgeTests.Sites sites) : IClassFixture<WebEdgeTests.Sites>
{
    private const string Name = "agents.example.org";

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("GET", "/", "")]
    [InlineData("GET", "/sign-in?returnUrl=%2Fdocuments", "")]
    [InlineData("GET", "/app.css", "")]
    [InlineData("GET", "/_blazor", "")]
    [InlineData("POST", "/sign-in", "")]
    [InlineData("GET", "/healthy", "")]
    [InlineData("GET", "/health/", "")]
    [InlineData("GET", "/", "X-Forwarded-Proto: https\r\n")]
    [InlineData("GET", "/", "X-Forwarded-Proto: https\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: evil.example\r\n")]
    [InlineData("GET", "/", "Forwarded: proto=https;host=evil.example\r\n")]
    [InlineData("GET", "/", "X-Forwarded-Scheme: https\r\nFront-End-Https: on\r\nX-ARR-SSL: x\r\n")]
    public async Task Plain_http_is_sent_to_https_whatever_it_says_of_itself(string method, string target, string headers)
    {
        var answer = await RawHttp.SendAsync(sites.Direct.Address, $"{method} {target} HTTP/1.1\r\nHost: {Name}\r\nContent-Length: 0\r\n{headers}\r\n");

        Assert.True(answer.Status == 308, answer.Head);
        Assert.Contains($"\r\nLocation: https://{Name}{target}\r\n", answer.Head + "\r\n", StringComparison.OrdinalIgnoreCase);
        Assert.Empty(answer.Body);
        Assert.DoesNotContain("Set-Cookie", answer.Head, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("Strict-Transport-Security", answer.Head, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Probes_are_answered_in_plain_http_and_unknown_names_not_at_all()
    {
        Assert.Equal(200, (await RawHttp.SendAsync(sites.Direct.Address, $"GET /health HTTP/1.1\r\nHost: {Name}\r\n\r\n")).Status);
        Assert.Contains((await RawHttp.SendAsync(sites.Direct.Address, $"GET /ready HTTP/1.1\r\nHost: {Name}\r\n\r\n")).Status, new[] { 200, 503 });
        foreach (var host in new[] { "evil.example", $"{Name}.evil.example", "169.254.169.254", "api" })
        {
            Assert.Equal(400, (await RawHttp.SendAsync(sites.Direct.Address, $"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n")).Status);
            Assert.Equal(400, (await RawHttp.SendAsync(sites.Proxied.Address, $"GET /sign-in HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: {Name}\r\n\r\n")).Status);
        }
    }

    [Theory]
    [InlineData("GET", "/sign-in", HttpStatusCode.OK)]
    [InlineData("GET", "/", HttpStatusCode.Redirect)]
    [InlineData("GET", "/app.css", HttpStatusCode.OK)]
    [InlineData("GET", "/nothing-here.css", HttpStatusCode.NotFound)]
    [InlineData("GET", "/files/documents/0199a000-0000-7000-8000-000000000001", HttpStatusCode.Redirect)]
    [InlineData("POST", "/sign-in", HttpStatusCode.BadRequest)]
    [InlineData("POST", "/sign-out", HttpStatusCode.BadRequest)]
    [InlineData("DELETE", "/sign-out", HttpStatusCode.MethodNotAllowed)]
    public async Task Over_https_every_answer_says_what_a_browser_may_do_with_it(string method, string path, HttpStatusCode status)
    {
        using var client = sites.Proxied.Client(https: true, Name);
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = method == "POST" ? new FormUrlEncodedContent([KeyValuePair.Create("_handler", "sign-in")]) : null };
        using var response = await client.SendAsync(request, Ct);

        Assert.Equal(status, response.StatusCode);
        AssertGuarded(response);
    }

    [Fact]
    public async Task Scripts_run_by_a_nonce_that_no_two_answers_share()
    {
        using var client = sites.Proxied.Client(https: true, Name);
        var nonces = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            using var response = await client.GetAsync("/sign-in", Ct);
            var html = await response.Content.ReadAsStringAsync(Ct);
            var policy = Policy(response);
            var nonce = Nonce().Match(policy["script-src"]).Groups[1].Value;
            Assert.Equal(16, Convert.FromBase64String(nonce).Length);
            Assert.All(Scripts().Matches(html), script => Assert.Contains($"nonce=\"{nonce}\"", WebUtility.HtmlDecode(script.Value), StringComparison.Ordinal));
            Assert.NotEmpty(Scripts().Matches(html));
            Assert.DoesNotMatch("(?i)\\son[a-z]+\\s*=|javascript:|<iframe|<object|<embed", html);
            nonces.Add(nonce);
        }

        Assert.Distinct(nonces);
    }

    [Fact]
    public async Task Cookies_are_for_https_and_not_for_scripts()
    {
        using var client = sites.Proxied.Client(https: true, Name);
        using var page = await client.GetAsync("/sign-up", Ct);
        var antiforgery = Assert.Single(Cookies(page));
        AssertFlags(antiforgery, "samesite=strict");
        var fields = WebProcess.HiddenFields(await page.Content.ReadAsStringAsync(Ct));
        fields["Form.DisplayName"] = "Somebody";
        fields["Form.Email"] = $"web-{Guid.NewGuid():N}@example.test";
        fields["Form.Password"] = ApiHost.Password;

        // Without the cookie, with another's and without the field nobody is signed up or in.
        foreach (var (cookie, without) in new[] { ("", ""), (antiforgery.Split(';')[0][..^4] + "AAAA", ""), (antiforgery.Split(';')[0], "__RequestVerificationToken") })
        {
            using var forged = await PostAsync(client, cookie, fields.Where(field => field.Key != without));
            Assert.Equal(HttpStatusCode.BadRequest, forged.StatusCode);
            Assert.DoesNotContain(Cookies(forged), each => each.StartsWith("agentflow_session", StringComparison.Ordinal));
        }

        using var signedUp = await PostAsync(client, antiforgery.Split(';')[0], fields);
        var session = Assert.Single(Cookies(signedUp), each => each.StartsWith("agentflow_session=", StringComparison.Ordinal));
        AssertFlags(session, "samesite=lax");
        Assert.Equal("agentflow_session=".Length + 64, session.Split(';')[0].Length);
        using var home = new HttpRequestMessage(HttpMethod.Get, "/") { Headers = { { "Cookie", session.Split(';')[0] } } };
        using var shown = await client.SendAsync(home, Ct);
        Assert.Equal(HttpStatusCode.OK, shown.StatusCode);
        Assert.DoesNotContain(session.Split(';')[0]["agentflow_session=".Length..], await shown.Content.ReadAsStringAsync(Ct), StringComparison.Ordinal);
        AssertGuarded(shown);

        // Nobody is signed out by somebody else's form, and by one's own for good.
        using var forgedSignOut = await PostAsync(client, session.Split(';')[0], [], "/sign-out");
        Assert.Equal(HttpStatusCode.BadRequest, forgedSignOut.StatusCode);
        using var settings = await client.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/settings") { Headers = { { "Cookie", session.Split(';')[0] } } }, Ct);
        var both = $"{session.Split(';')[0]}; {Assert.Single(Cookies(settings)).Split(';')[0]}";
        using var signedOut = await PostAsync(client, both, WebProcess.HiddenFields(await settings.Content.ReadAsStringAsync(Ct)), "/sign-out");
        Assert.Equal((HttpStatusCode.Redirect, "/sign-in"), (signedOut.StatusCode, signedOut.Headers.Location?.OriginalString));
        Assert.StartsWith("agentflow_session=;", Assert.Single(Cookies(signedOut)), StringComparison.Ordinal);
        using var after = await client.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/") { Headers = { { "Cookie", session.Split(';')[0] } } }, Ct);
        Assert.Equal(HttpStatusCode.Redirect, after.StatusCode);
    }

    [Fact]
    public async Task Circuits_are_opened_by_pages_of_this_origin_only()
    {
        const string Own = $"https://{Name}";
        foreach (var (headers, status) in new[]
        {
            ("Origin: https://evil.example\r\nCookie: agentflow_session=x\r\n", 403), ("Origin: null\r\nCookie: agentflow_session=x\r\n", 403), ("Cookie: agentflow_session=x\r\n", 403),
            ($"Origin: {Own}.evil.example\r\n", 403), ($"Origin: {Own}\r\nOrigin: https://evil.example\r\n", 403), ($"Origin: https://x.{Name}\r\nCookie: agentflow_session=x\r\n", 403), ("Origin: x\r\n", 403),
        })
        {
            var answer = await RawHttp.SendAsync(sites.Proxied.Address, Upgrade(headers));
            Assert.True(answer.Status == status && answer.Body.Contains("\"origin_not_allowed\"", StringComparison.Ordinal), $"{headers} {answer.Head} {answer.Body}");
        }

        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Host", Name);
        socket.Options.SetRequestHeader("Origin", Own);
        socket.Options.SetRequestHeader("X-Forwarded-Proto", "https");
        socket.Options.SetRequestHeader("Cookie", "agentflow_session=x");
        await socket.ConnectAsync(new UriBuilder(sites.Proxied.Address) { Scheme = "ws", Path = "/_blazor" }.Uri, Ct);
        Assert.Equal(WebSocketState.Open, socket.State);

        // A name with its port is this port's only: another server of the same machine is another origin.
        var authority = sites.Proxied.Address.Authority;
        Assert.Equal(403, (await RawHttp.SendAsync(sites.Proxied.Address, Upgrade($"Origin: http://127.0.0.1:{sites.Proxied.Address.Port + 1}\r\n", authority))).Status);
        Assert.Equal(403, (await RawHttp.SendAsync(sites.Proxied.Address, Upgrade($"Origin: http://127.0.0.1\r\n", authority))).Status);
    }

    [Theory]
    [InlineData("/sign-in", null)]
    [InlineData("/", "agentflow_session=0123456789012345678901234567890123456789012345678901234567890123")]
    [InlineData("/files/memories.json", "agentflow_session=0123456789012345678901234567890123456789012345678901234567890123")]
    public async Task A_failure_shows_nothing_of_what_is_inside(string path, string? cookie)
    {
        using var client = sites.Broken.Client(https: true, Name);
        using var request = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { { "Accept", "text/html" } } };
        if (cookie is not null)
            request.Headers.Add("Cookie", cookie);
        using var response = await client.SendAsync(request, Ct);
        var body = await response.Content.ReadAsStringAsync(Ct);

        Assert.True((int)response.StatusCode >= 500, $"{(int)response.StatusCode} {body}");
        foreach (var inner in new[] { "Exception", "   at ", "System.", "Microsoft.", "Utf8JsonReader", "127.0.0.1" })
            Assert.DoesNotContain(inner, body, StringComparison.Ordinal);
        AssertGuarded(response);
    }

    private static void AssertGuarded(HttpResponseMessage response)
    {
        string Header(string name) => Assert.Single(response.Headers.TryGetValues(name, out var values) ? values : []);
        Assert.Equal("max-age=31536000; includeSubDomains", Header("Strict-Transport-Security"));
        Assert.Equal("nosniff", Header("X-Content-Type-Options"));
        Assert.Equal("DENY", Header("X-Frame-Options"));
        Assert.Equal("no-referrer", Header("Referrer-Policy"));
        Assert.Equal("same-origin", Header("Cross-Origin-Opener-Policy"));
        Assert.Equal("same-origin", Header("Cross-Origin-Resource-Policy"));
        Assert.Contains("camera=()", Header("Permissions-Policy"), StringComparison.Ordinal);
        Assert.False(response.Headers.Contains("Server") || response.Headers.Contains("X-Powered-By"));
        var policy = Policy(response);
        Assert.Equal(("'none'", "'none'", "'self'", "'self'", "'self'"), (policy["default-src"], policy["frame-ancestors"], policy["base-uri"], policy["form-action"], policy["connect-src"]));
        Assert.Matches("^'self' 'nonce-[A-Za-z0-9+/]{22}=='$", policy["script-src"]);
        Assert.Equal("'self' data:", policy["img-src"]);
    }

    private static Dictionary<string, string> Policy(HttpResponseMessage response) => Assert.Single(response.Headers.GetValues("Content-Security-Policy"))
        .Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(part => part.Split(' ', 2)).ToDictionary(part => part[0], part => part[1], StringComparer.Ordinal);

    private static void AssertFlags(string cookie, string sameSite)
    {
        var flags = cookie.ToLowerInvariant().Split(';', StringSplitOptions.TrimEntries);
        Assert.Contains("secure", flags);
        Assert.Contains("httponly", flags);
        Assert.Contains("path=/", flags);
        Assert.Contains(sameSite, flags);
        Assert.DoesNotContain(flags, flag => flag.StartsWith("domain", StringComparison.Ordinal));
    }

    private static IReadOnlyList<string> Cookies(HttpResponseMessage response) => response.Headers.TryGetValues("Set-Cookie", out var values) ? [.. values] : [];

    private static Task<HttpResponseMessage> PostAsync(HttpClient client, string cookie, IEnumerable<KeyValuePair<string, string>> fields, string path = "/sign-up")
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new FormUrlEncodedContent(fields) };
        if (cookie.Length > 0)
            request.Headers.Add("Cookie", cookie);
        return client.SendAsync(request, Ct);
    }

    private static string Upgrade(string headers, string host = Name) =>
        $"GET /_blazor HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: https\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n";

    [GeneratedRegex("'nonce-([^']+)'")]
    private static partial Regex Nonce();

    [GeneratedRegex("<script[^>]*>")]
    private static partial Regex Scripts();

    /// <summary>One Web that browsers reach directly, one behind a proxy that it trusts, and one whose API talks nonsense.</summary>
    public sealed class Sites : IAsyncLifetime
    {
        private readonly ApiHost _api = new();
        private WebApplication? _nonsense;

        internal WebProcess Direct { get; private set; } = null!;

        internal WebProcess Proxied { get; private set; } = null!;

        internal WebProcess Broken { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            await _api.InitializeAsync();
            var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
            builder.Logging.ClearProviders();
            _nonsense = builder.Build();
            _nonsense.Run(context => context.Response.Body.WriteAsync(Encoding.ASCII.GetBytes("{nonsense"), context.RequestAborted).AsTask());
            await _nonsense.StartAsync(Ct);
            var (name, proxy) = (("AllowedHosts", Name), ("Edges:TrustedProxies:0", "127.0.0.1"));
            Direct = await WebProcess.StartAsync(_api.Address, name);
            Proxied = await WebProcess.StartAsync(_api.Address, name, proxy);
            Broken = await WebProcess.StartAsync(new Uri(_nonsense.Urls.First()), name, proxy);
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var web in new[] { Direct, Proxied, Broken })
            {
                if (web is not null)
                    await web.DisposeAsync();
            }

            if (_nonsense is not null)
                await _nonsense.DisposeAsync();
            await _api.DisposeAsync();
        }
    }
}
