using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Admin;
using AgentFlow.Contracts.Auth;
using AgentFlow.Contracts.Chat;
using AgentFlow.Tests.AppHost;
using Microsoft.Playwright;

namespace AgentFlow.Tests.EndToEnd;

/// <summary>One running AgentFlow with an administrator, a document and an answer, and one browser, for all tests of the front end.</summary>
public sealed class WebSite : IAsyncLifetime
{
    /// <summary>Slow enough to do something in the middle of an answer, fast enough for a test.</summary>
    private const string WordsPerSecond = "12";

    private readonly TemporaryFolder _folder = new();
    private RunningAgentFlow _agentFlow = null!;
    private HttpClient _admin = null!;

    internal Browser Browser { get; private set; } = null!;

    internal RunningAgentFlow AgentFlow => _agentFlow;

    public Uri Web => _agentFlow.Web;

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    /// <summary>Nothing: what uses it is not part of every run, and starts it by <see cref="StartAsync"/>.</summary>
    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    /// <summary>Once; later calls return at once.</summary>
    public async Task StartAsync()
    {
        if (Browser is not null)
            return;
        Browser = await EndToEnd.Browser.StartAsync();
        _agentFlow = await RunningAgentFlow.StartAsync(_folder["state"], new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["Models__Extractive__WordsPerSecond"] = WordsPerSecond,
            ["Auth__Registration"] = "invite",
            ["Limits__ChatPerMinute"] = "10000",
            ["Limits__RequestsPerMinute"] = "100000",
            ["Limits__AnonymousPerMinute"] = "10000",
            ["Limits__SignInsPerAddress"] = "1000",
            ["Auth__AccessTokenLifetime"] = "01:00:00",
        });
        using var anonymous = new HttpClient { BaseAddress = _agentFlow.Api };
        var request = new RegisterRequest { Email = ChatPageDriver.Email, Password = ChatPageDriver.Password, DisplayName = "Ada Lovelace", SetupToken = _agentFlow.SetupToken };
        var tokens = await ReadAsync<TokenResponse>(await anonymous.PostAsJsonAsync("/api/auth/register", request, ContractJson.Options, Ct));
        _admin = new HttpClient { BaseAddress = _agentFlow.Api };
        _admin.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", tokens.AccessToken);
    }

    public async ValueTask DisposeAsync()
    {
        _admin?.Dispose();
        if (Browser is not null)
            await Browser.DisposeAsync();
        if (_agentFlow is not null)
            await _agentFlow.DisposeAsync();
        _folder.Dispose();
    }

    /// <summary>To be called at the end of each test; says after a failure what there is to say.</summary>
    internal Task EndTestAsync() => Browser is null ? Task.CompletedTask : Browser.EndTestAsync(_agentFlow?.Troubles);

    /// <summary>A file of this test's own.</summary>
    public string File(string name, string text)
    {
        System.IO.File.WriteAllText(_folder[name], text);
        return _folder[name];
    }

    /// <summary>A folder of this test's own, with files at paths within it.</summary>
    public string Folder(string name, params (string Path, string Text)[] files)
    {
        foreach (var (path, text) in files)
        {
            var file = Path.Combine(_folder[name], path);
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            System.IO.File.WriteAllText(file, text);
        }

        return _folder[name];
    }

    /// <summary>The administrator's documents with this metadata, by their names.</summary>
    public async Task<IReadOnlyList<string>> FoundAsync(string query, string field, string value)
    {
        var filter = new Dictionary<string, object>(StringComparer.Ordinal) { ["metadata"] = new Dictionary<string, string>(StringComparer.Ordinal) { [field] = value } };
        var found = await ReadAsync<JsonElement>(await _admin.PostAsJsonAsync("/api/documents/search", new { query, filter }, ContractJson.Options, Ct));
        return [.. found.GetProperty("items").EnumerateArray().Select(hit => hit.GetProperty("documentName").GetString()!).Distinct(StringComparer.Ordinal)];
    }

    public async Task AddAgentAsync(string slug, string name) =>
        await ReadAsync<JsonElement>(await _admin.PostAsJsonAsync("/api/agents", new { slug, name, instructions = "Answer in one sentence." }, ContractJson.Options, Ct));

    public async Task DeleteAgentAsync(string slug) => (await _admin.DeleteAsync(new Uri($"/api/agents/{slug}", UriKind.Relative), Ct)).EnsureSuccessStatusCode().Dispose();

    public async Task<string> InviteAsync() =>
        (await ReadAsync<InviteCreated>(await _admin.PostAsJsonAsync("/api/admin/invites", new InviteRequest(), ContractJson.Options, Ct))).Token;

    /// <summary>The newest answer of the administrator's conversation as the API has stored it; empty while the API is away.</summary>
    public async Task<string> StoredAnswerAsync(string conversation)
    {
        try
        {
            using var response = await _admin.GetAsync($"/api/chat/{conversation}/history?order=desc&limit=1", Ct);
            return (int)response.StatusCode >= 500 ? "" : (await ReadAsync<Page<HistoryMessage>>(response)).Items[0].Content;
        }
        catch (HttpRequestException)
        {
            return "";
        }
    }

    /// <summary>A conversation of that many questions with their answers; the whole of it goes through the API.</summary>
    public async Task<string> AskManyAsync(string question, int count)
    {
        string? conversation = null;
        for (var i = 0; i < count; i++)
        {
            using var response = await _admin.PostAsJsonAsync("/api/v1/chat/query", new { question = $"{question} ({i + 1})", conversationId = conversation }, ContractJson.Options, Ct);
            conversation ??= (await ReadAsync<JsonElement>(response)).GetProperty("conversationId").GetString();
        }

        return conversation!;
    }

    /// <summary>Uploads a text and waits until it can be asked about.</summary>
    public async Task AddDocumentAsync(string name, string text)
    {
        using var form = new MultipartFormDataContent { { new StringContent(text, System.Text.Encoding.UTF8, "text/plain"), "file", name } };
        var id = (await ReadAsync<JsonElement>(await _admin.PostAsync("/api/documents", form, Ct))).GetProperty("items")[0].GetProperty("id").GetString();
        while ((await ReadAsync<JsonElement>(await _admin.GetAsync($"/api/documents/{id}", Ct))).GetProperty("status").GetString() is not "ready")
            await Task.Delay(100, Ct);
    }

    /// <summary>A page of the administrator, signed in.</summary>
    internal async Task<(IPage Page, ChatPageDriver Chat)> SignInAsync(Uri? through = null, Browser? browser = null)
    {
        var page = await (browser ?? Browser).OpenAsync(through ?? Web);
        var chat = new ChatPageDriver(page);
        await chat.SignInAsync();
        return (page, chat);
    }

    private static async Task<T> ReadAsync<T>(HttpResponseMessage response)
    {
        using (response)
        {
            Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode} {await response.Content.ReadAsStringAsync(Ct)}");
            return (await response.Content.ReadFromJsonAsync<T>(ContractJson.Lenient, Ct))!;
        }
    }
}
