using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Documents;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.Tests.ApiService.Runs;
using AgentFlow.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.ApiService.Agents;

/// <summary>The real API and memory service with, where asked for, a scripted provider: a turn from the request to its last event.</summary>
internal sealed class TurnFixture : IAsyncDisposable
{
    private readonly string _agents = Directory.CreateTempSubdirectory("agentflow-turns-").FullName;

    private TurnFixture(MemoryHost memory, ScriptedProvider? provider) => (Memory, Provider) = (memory, provider!);

    public ApiHost Api { get; private set; } = null!;

    public MemoryHost Memory { get; }

    public ScriptedProvider Provider { get; }

    public TestUser User { get; private set; } = null!;

    private static CancellationToken Limit => TestContext.Current.CancellationToken;

    /// <summary>As <see cref="StartAsync"/> with a provider, which the memory service asks as well, for facts.</summary>
    public static async Task<TurnFixture> StartLearningAsync(string agent = "")
    {
        var provider = await ScriptedProvider.StartAsync();
        return await BeginAsync(
            new(await MemoryHost.StartAsync(settings: [("OPENAI_BASE_URL", provider.Endpoint.ToString()), ("OPENAI_API_KEY", "test"), ("OPENAI_MODEL", "scripted")]), provider), agent);
    }

    /// <param name="withProvider">False: the built-in model answers.</param>
    /// <param name="settings">Of the API; an empty <c>...:Endpoint</c> becomes the provider's.</param>
    /// <param name="agent">Members of the default agent's definition beside slug and instructions, as JSON.</param>
    public static async Task<TurnFixture> StartAsync(bool withProvider, string agent = "", params (string Key, string Value)[] settings)
    {
        return await BeginAsync(new(await MemoryHost.StartAsync(), withProvider ? await ScriptedProvider.StartAsync() : null), agent, settings);
    }

    private static async Task<TurnFixture> BeginAsync(TurnFixture turns, string agent, params (string Key, string Value)[] settings)
    {
        await File.WriteAllTextAsync(
            Path.Combine(turns._agents, "default.json"),
            $$"""{"slug":"default","instructions":"You help the customers of Example Ltd with patience and never tell anybody the code word."{{agent}}}""",
            Limit);
        var all = new Dictionary<string, string?>
        {
            ["Auth:Keys"] = MemoryHost.AuthKeys,
            ["services:memory:http:0"] = turns.Memory.Address.ToString(),
            ["Agents:Path"] = turns._agents,
            ["Models:Extractive:WordsPerSecond"] = "0",
        };
        if (turns.Provider is not null)
        {
            all["OPENAI_BASE_URL"] = turns.Provider.Endpoint.ToString();
            all["OPENAI_API_KEY"] = "test-key";
            all["OPENAI_MODEL"] = "scripted";
        }

        foreach (var (key, value) in settings)
            all[key] = key.EndsWith(":Endpoint", StringComparison.Ordinal) && value.Length == 0 ? turns.Provider!.Endpoint.ToString() : value;
        turns.Api = await ApiHost.StartAsync(all);
        turns.User = turns.Api.Admin;
        return turns;
    }

    public Task<HttpResponseMessage> SendAsync(ChatRequest request)
    {
        var message = new HttpRequestMessage(HttpMethod.Post, "/api/chat") { Content = JsonContent.Create(request, options: ContractJson.Options) };
        return User.Client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, Limit);
    }

    public async Task<List<RunEvent>> ChatAsync(ChatRequest request)
    {
        using var response = await SendAsync(request);
        Assert.True(response.StatusCode == HttpStatusCode.OK, $"{(int)response.StatusCode} {(response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync(Limit))}");
        return [.. (await SseEvent.ReadAllAsync(response)).Select(e => e.Parsed)];
    }

    public Task<List<RunEvent>> AskAsync(string message, ConversationId? conversation = null) =>
        ChatAsync(new ChatRequest { Message = message, ConversationId = conversation });

    /// <summary>Uploads a text and waits until it can be found.</summary>
    public async Task<DocumentId> UploadAsync(string name, string text)
    {
        using var file = new ByteArrayContent(Encoding.UTF8.GetBytes(text));
        file.Headers.ContentType = new MediaTypeHeaderValue("text/plain");
        using var form = new MultipartFormDataContent { { file, "file", name } };
        using var response = await User.Client.PostAsync("/api/documents", form, Limit);
        var id = (await response.Content.ReadFromJsonAsync<UploadResponse>(ContractJson.Options, Limit))!.Items[0].Id!.Value;
        var document = await Patience.UntilAsync(
            () => User.Client.GetFromJsonAsync<DocumentSummary>($"/api/documents/{id}", ContractJson.Options, Limit),
            document => document!.Status is DocumentStatus.Ready or DocumentStatus.Failed,
            $"the ingestion of {name}");
        Assert.Equal(DocumentStatus.Ready, document!.Status);
        return id;
    }

    /// <summary>One number from a service's database, past its roles.</summary>
    public async Task<long> CountAsync(string sql, bool memory = false)
    {
        var schema = (memory ? Memory.App.Services : Api.Services).GetRequiredService<Database>().Schema;
        var connection = new Npgsql.NpgsqlConnectionStringBuilder(memory ? Memory.ConnectionString : Api.ConnectionString) { SearchPath = schema };
        await using var source = Npgsql.NpgsqlDataSource.Create(connection);
        await using var command = source.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync(Limit))!;
    }

    /// <summary>A new account and a provider without scripts, for the next test.</summary>
    public async Task RenewAsync()
    {
        Provider?.Reset();
        User = await Api.RegisterAsync();
    }

    public static string TextOf(IEnumerable<RunEvent> events) => string.Concat(events.OfType<MessageDelta>().Select(d => d.Text));

    public async ValueTask DisposeAsync()
    {
        await Api.DisposeAsync();
        await Memory.DisposeAsync();
        if (Provider is not null)
            await Provider.DisposeAsync();
        Directory.Delete(_agents, recursive: true);
    }
}

/// <summary>Shared by the tests of one class.</summary>
public sealed class ProviderTurns : IAsyncLifetime
{
    private const string Agent =
        ""","tools":[{"name":"calculate"},{"name":"current_time"},{"name":"search_documents"},{"name":"search_memory"},{"name":"remember"},{"name":"forget","policy":"deny"}],"limits":{"steps":4,"toolCalls":5}""";

    internal TurnFixture Turns { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Turns = await TurnFixture.StartAsync(withProvider: true, Agent);

    public ValueTask DisposeAsync() => Turns.DisposeAsync();
}

/// <summary>Shared by the tests of one class; the built-in model answers.</summary>
public sealed class OfflineTurns : IAsyncLifetime
{
    internal TurnFixture Turns { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Turns = await TurnFixture.StartAsync(withProvider: false);

    public ValueTask DisposeAsync() => Turns.DisposeAsync();
}
