using System.Collections.Concurrent;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using AgentFlow.Tests.AppHost;
using AgentFlow.Tests.Support;
using AgentFlow.Tests.Web.Markdown;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>
/// Texts that try to run a script or to reach another host, in every place where the Web shows a text, in Chromium: its network log holds
/// no request to anybody else, and no script of theirs has run.
/// </summary>
public sealed partial class HostileContentTests : IAsyncLifetime
{
    private const int InOneMessage = 60;

    private readonly TemporaryFolder _folder = new();
    private readonly ConcurrentQueue<string> _ran = new();
    private readonly ConcurrentQueue<string> _foreign = new();
    private Browser _browser = null!;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>For names and other short texts, two in each: 76 texts that hold 151.</summary>
    private static string[] Short { get; } =
    [
        .. HostilePayloads.All.Where((_, number) => number % 3 == 0).Select(payload => ControlCharacters().Replace(payload, " ").Trim()).Chunk(2).Select(pair => string.Join(' ', pair)),
    ];

    /// <summary>For messages and documents: all of them, some in each.</summary>
    private static string[] Long { get; } = [.. HostilePayloads.All.Chunk(InOneMessage).Select((some, number) => $"BATCH-{number}\n\n{string.Join("\n\n", some.Select(payload => payload.Replace("\0", "", StringComparison.Ordinal)))}")];

    public async ValueTask InitializeAsync() => _browser = await Browser.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _browser.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task Nothing_that_is_shown_runs_or_calls_another_host()
    {
        Assert.True(Short.Length * 2 > 150 && HostilePayloads.All.Count > 150);
        await using var provider = await ScriptedProvider.StartAsync();
        provider.KeepsRequests = false;
        provider.Respond = request => Script.Say(Long.FirstOrDefault(batch => request.Transcript.LastIndexOf(batch[..9], StringComparison.Ordinal) is >= 0 and var at
            && at == Long.Max(other => request.Transcript.LastIndexOf(other[..9], StringComparison.Ordinal))) ?? "ok");
        await using var agentFlow = await RunningAgentFlow.StartAsync(_folder["state"], new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["Models__Providers__0__Name"] = "scripted", ["Models__Providers__0__Endpoint"] = provider.Endpoint.ToString(), ["Models__Providers__0__Model"] = "scripted", ["Models__Providers__0__ApiKey"] = "not-a-secret-but-long-enough",
            ["Limits__ChatPerMinute"] = "10000", ["Limits__RequestsPerMinute"] = "100000",
        });
        await RefuseForeignNamesAsync(agentFlow);
        var page = await _browser.OpenAsync(agentFlow.Web);
        await ProveThatTheLogSeesAsync();
        Watch(page, agentFlow.Web);
        var chat = new ChatPageDriver(page);
        await chat.SignUpAsync(agentFlow.Web, agentFlow.SetupToken!);
        using var api = await SignInAsync(agentFlow.Api);
        var conversation = await FillAsync(api);
        var room = await FillRoomsAsync(agentFlow.Api, api);

        await chat.NewConversationAsync();
        await chat.AskAsync(Long[0]);
        await LookAsync(page);
        await page.VisitAsync($"/c/{conversation}");
        await Expect(page.GetByTestId("message-assistant")).ToHaveCountAsync(Long.Length);
        await LookAsync(page);
        await page.VisitAsync("/documents");
        await Expect(page.GetByTestId("document-row")).ToHaveCountAsync(Short.Length + 1);
        await LookAsync(page);
        await page.GetByTestId("document-row").Filter(new LocatorFilterOptions { HasText = "all of them" }).GetByRole(AriaRole.Button).First.ClickAsync();
        await Expect(page.Locator(".document-text")).ToContainTextAsync("BATCH-0");
        await LookAsync(page);
        await page.VisitAsync("/memories");
        await Expect(page.GetByTestId("memory-row")).ToHaveCountAsync(Short.Length);
        await LookAsync(page);
        await page.VisitAsync("/agents");
        await Expect(page.Locator("li.card code").Filter(new LocatorFilterOptions { HasText = "hostile-" })).ToHaveCountAsync(Short.Length);
        await LookAsync(page);
        await page.VisitAsync("/rooms");
        await page.GetByTestId("more-rooms").ClickAsync();
        await Expect(page.GetByTestId("room-row")).ToHaveCountAsync(Short.Length);
        await LookAsync(page);
        await page.VisitAsync($"/rooms/{room}");
        await Expect(page.GetByTestId("message-assistant")).ToHaveCountAsync(Long.Length);
        await Expect(page.GetByTestId("room-message")).ToHaveCountAsync(Long.Length * 2);
        await LookAsync(page);
        foreach (var path in new[] { "/settings", "/admin", "/tasks" })
        {
            await page.VisitAsync(path);
            await Expect(page.Locator("main")).ToBeVisibleAsync();
            await LookAsync(page);
        }

        Assert.Empty(_ran);
        Assert.Empty(_foreign);
    }

    /// <summary>A name that is not this machine's leads nowhere: that is how a page of others would read this one.</summary>
    private static async Task RefuseForeignNamesAsync(RunningAgentFlow agentFlow)
    {
        foreach (var service in new[] { agentFlow.Web, agentFlow.Api, agentFlow.Memory })
        {
            Assert.Equal(400, (await RawHttp.SendAsync(service, "GET /health HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n")).Status);
            Assert.Equal(200, (await RawHttp.SendAsync(service, "GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).Status);
        }
    }

    /// <summary>A page without protection: that nothing is seen later must mean that nothing was there.</summary>
    private async Task ProveThatTheLogSeesAsync()
    {
        var page = await _browser.OpenAsync(new Uri("http://127.0.0.1:9/"));
        Watch(page, new Uri("http://127.0.0.1:9/"));
        var dialog = new TaskCompletionSource();
        page.Dialog += (_, _) => dialog.TrySetResult();
        await page.SetContentAsync("<img src=https://evil.example/p.png onerror=alert(1)>", new PageSetContentOptions { WaitUntil = WaitUntilState.Commit });
        await dialog.Task.WaitAsync(TimeSpan.FromSeconds(60), Ct);
        Assert.Contains(_foreign, url => url.StartsWith("https://evil.example", StringComparison.Ordinal));
        Assert.NotEmpty(_ran);
        await page.Context.CloseAsync();
        _foreign.Clear();
        _ran.Clear();
        _browser.Complaints.Clear();
    }

    private void Watch(IPage page, Uri own)
    {
        page.Context.Request += (_, request) =>
        {
            if (new Uri(request.Url) is { Scheme: not ("data" or "blob" or "about") } url && url.Authority != own.Authority)
                _foreign.Enqueue(request.Url);
        };
        page.Context.Response += (_, response) =>
        {
            // A picture whose address is x is asked for here, and is not there.
            if (response.Status == 404)
                _foreign.Enqueue("404 " + response.Url);
        };
        page.Dialog += (_, dialog) =>
        {
            _ran.Enqueue(dialog.Message);
            _ = dialog.DismissAsync();
        };
        page.Popup += (_, popup) => _foreign.Enqueue("popup " + popup.Url);
    }

    /// <summary>Nothing active stands in the page either, whether or not it has had its chance yet.</summary>
    private async Task LookAsync(IPage page)
    {
        var active = await page.EvaluateAsync<string[]>("""
            () => [...document.querySelectorAll('*')].filter(e =>
                [...e.attributes].some(a => /^on/i.test(a.name) || /^\s*(javascript|vbscript|data:text)/i.test(a.value) && /^(href|src|action|formaction|data|xlink:href)$/i.test(a.name))
                || ['IFRAME', 'OBJECT', 'EMBED', 'VIDEO', 'AUDIO', 'MATH'].includes(e.tagName) || (e.tagName === 'BASE' && e.getAttribute('href') !== '/')
                || /evil\.example/.test(e.getAttribute('src') || e.getAttribute('action') || e.getAttribute('style') || e.getAttribute('ping') || '')
            ).map(e => e.outerHTML.slice(0, 200))
            """);
        Assert.Empty(active);
        Assert.Empty(_browser.Complaints);
    }

    private static async Task<HttpClient> SignInAsync(Uri api)
    {
        var client = new HttpClient { BaseAddress = api };
        using var response = await client.PostAsJsonAsync("/api/auth/login", new LoginRequest { Email = ChatPageDriver.Email, Password = ChatPageDriver.Password }, ContractJson.Options, Ct);
        var tokens = await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync<TokenResponse>(ContractJson.Options, Ct);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", tokens!.AccessToken);
        return client;
    }

    /// <summary>Messages, answers, a document, file names, memories, agents, titles and the own name. Returns the conversation.</summary>
    private static async Task<string> FillAsync(HttpClient api)
    {
        await SendAsync(api, HttpMethod.Patch, "/api/auth/me", new { displayName = "<img src=x onerror=alert(1)><script>alert(1)</script>" });
        string? conversation = null;
        foreach (var message in Long)
        {
            var answer = await SendAsync(api, HttpMethod.Post, "/api/v1/chat/query", conversation is null ? new { question = message } : new { question = message, conversationId = conversation });
            conversation = answer.GetProperty("conversationId").GetString();
        }

        await UploadAsync(api, [("all of them.md", string.Join("\n\n", Long)), .. Short.Select((name, number) => ($"{name} {number}.txt", $"file {number}"))]);
        await Parallel.ForEachAsync(Short.Index(), new ParallelOptions { MaxDegreeOfParallelism = 4, CancellationToken = Ct }, async (text, _) =>
        {
            await SendAsync(api, HttpMethod.Post, "/api/memories", new { text = $"{text.Item} {text.Index}", infer = false });
            await SendAsync(api, HttpMethod.Post, "/api/agents", new { slug = $"hostile-{text.Index}", name = Cut(text.Item), description = text.Item, instructions = "Say ok.", models = new[] { "*" } });
            var asked = await SendAsync(api, HttpMethod.Post, "/api/v1/chat/query", new { question = $"{text.Item} {text.Index}" });
            await SendAsync(api, HttpMethod.Patch, $"/api/chat/{asked.GetProperty("conversationId").GetString()}", new { title = Cut(text.Item) });
        });
        return conversation!;
    }

    /// <summary>Rooms by name, and in one of them what people and the agent say. Returns that room.</summary>
    private static async Task<string> FillRoomsAsync(Uri address, HttpClient api)
    {
        var room = "";
        foreach (var name in Short)
            room = (await SendAsync(api, HttpMethod.Post, "/api/rooms", new { name = Cut(name, 100) })).GetProperty("id").GetString()!;
        using var socket = await SocketClient.OpenAsync(address, api, $"/ws/rooms/{room}");
        foreach (var message in Long)
        {
            await socket.SendAsync(new { type = "message", message, ask = false });
            await socket.UntilAsync("message.added");
            await socket.SendAsync(new { type = "message", message });
            await socket.UntilAsync("run.completed");
        }

        return room;
    }

    private static string Cut(string text, int most = 200) => text.Length <= most ? text : text[..most];

    private static async Task UploadAsync(HttpClient api, (string Name, string Text)[] files)
    {
        var body = new StringBuilder();
        foreach (var (name, text) in files)
            body.Append($"--x7x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"\r\nContent-Type: text/plain\r\n\r\n{text}\r\n");
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body.Append("--x7x--\r\n").ToString()));
        content.Headers.TryAddWithoutValidation("Content-Type", "multipart/form-data; boundary=x7x");
        using var response = await api.PostAsync("/api/documents", content, Ct);
        var answer = await response.Content.ReadAsStringAsync(Ct);
        Assert.True(response.IsSuccessStatusCode && !answer.Contains("\"error\":{", StringComparison.Ordinal), answer);
        Assert.Equal(files.Length, JsonElement.Parse(answer).GetProperty("items").EnumerateArray().Count(item => item.TryGetProperty("id", out var id) && id.ValueKind is JsonValueKind.String));
    }

    private static async Task<JsonElement> SendAsync(HttpClient api, HttpMethod method, string path, object body)
    {
        using var request = new HttpRequestMessage(method, path) { Content = JsonContent.Create(body) };
        using var response = await api.SendAsync(request, Ct);
        var text = await response.Content.ReadAsStringAsync(Ct);
        Assert.True(response.IsSuccessStatusCode, $"{method} {path}: {(int)response.StatusCode} {text}");
        return JsonElement.Parse(text);
    }

    [GeneratedRegex(@"\p{C}+")]
    private static partial Regex ControlCharacters();
}
