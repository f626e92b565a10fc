using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService;
using AgentFlow.MemoryService.Access;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.Support;

/// <summary>The real memory service on Kestrel at a free port, with a database of its own or, as a replica, that of another.</summary>
public sealed class MemoryHost : IAsyncDisposable
{
    private MemoryHost(WebApplication app, string connectionString)
    {
        App = app;
        ConnectionString = connectionString;
        Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
    }

    public WebApplication App { get; }

    public string ConnectionString { get; }

    public Uri Address { get; }

    public static async Task<MemoryHost> StartAsync(
        string? connectionString = null, Action<WebApplicationBuilder>? configure = null, params (string Key, string Value)[] settings)
    {
        connectionString ??= await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Memory);
        var app = MemoryServiceApplication.Build(["--urls", "http://127.0.0.1:0", "--environment", "Production"], builder =>
        {
            HostLog.AddTo(builder);
            builder.Configuration.AddInMemoryCollection(Patience.Settings);
            builder.Configuration.AddInMemoryCollection(
            [
                KeyValuePair.Create("ConnectionStrings:agentflow-memory", (string?)connectionString),
                KeyValuePair.Create("Auth:Keys", (string?)AuthKeys),
                KeyValuePair.Create("Logging:LogLevel:Default", (string?)"Warning"),
                .. settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)),
            ]);
            builder.Services.AddSingleton(RouteCoverage.Recorder("memory"));
            configure?.Invoke(builder);
        });
        RouteCoverage.Declare("memory", app);
        await app.StartAsync();
        return new MemoryHost(app, connectionString);
    }

    /// <summary>Random bytes made for these tests.</summary>
    public static readonly string AuthKeys = $"t1:{Convert.ToBase64String(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32))}";

    public T Get<T>()
        where T : notnull => App.Services.GetRequiredService<T>();

    /// <summary>A key of a new owner, or of the given one.</summary>
    public async Task<(Guid OwnerId, string Key)> CreateKeyAsync(Guid? ownerId = null, MemoryScope? subject = null, params string[] scopes)
    {
        var owner = ownerId ?? Guid.CreateVersion7();
        var created = await Get<ApiKeyStore>().CreateAsync(
            owner, new NewMemoryKey { Name = "test", Subject = subject, Scopes = scopes.Length == 0 ? ["read", "write", "admin"] : scopes }, CancellationToken.None);
        return (owner, created.Secret);
    }

    /// <summary>A client of a new owner, or of the given one, with a key of its own.</summary>
    public async Task<HttpClient> ClientAsync(Guid? ownerId = null, MemoryScope? subject = null, params string[] scopes) =>
        Client((await CreateKeyAsync(ownerId, subject, scopes)).Key);

    public HttpClient Client(string? key)
    {
        var client = new HttpClient { BaseAddress = Address };
        if (key is not null)
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return client;
    }

    public async ValueTask DisposeAsync()
    {
        await App.StopAsync(CancellationToken.None);
        await App.DisposeAsync();
    }
}

/// <summary>Calls of the memory service as its clients make them.</summary>
public static class MemoryCalls
{
    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    public static async Task<AddMemoryResponse> AddAsync(this HttpClient client, AddMemoryRequest request) =>
        await ReadAsync<AddMemoryResponse>(await client.PostAsJsonAsync("/api/memories", request, ContractJson.Options, Ct));

    public static Task<AddMemoryResponse> AddVerbatimAsync(this HttpClient client, string text, string userId = "u") =>
        client.AddAsync(new AddMemoryRequest { Text = text, UserId = userId, Infer = false });

    public static async Task<SearchMemoriesResponse> SearchAsync(this HttpClient client, string query, string filter = """{"userId":"u"}""", int topK = 10) =>
        await client.SearchAsync(new SearchMemoriesRequest { Query = query, Filter = JsonElement.Parse(filter), TopK = topK });

    public static async Task<SearchMemoriesResponse> SearchAsync(this HttpClient client, SearchMemoriesRequest request) =>
        await ReadAsync<SearchMemoriesResponse>(await client.PostAsJsonAsync("/api/memories/search", request, ContractJson.Options, Ct));

    public static async Task<Page<MemoryItem>> ListAsync(this HttpClient client, string query = "") =>
        await ReadAsync<Page<MemoryItem>>(await client.GetAsync($"/api/memories{query}", Ct));

    public static async Task<T> ReadAsync<T>(HttpResponseMessage response)
    {
        var body = await response.Content.ReadAsStringAsync(Ct);
        Assert.True(response.IsSuccessStatusCode, $"{(int)response.StatusCode} {body}");
        return JsonSerializer.Deserialize<T>(body, ContractJson.Options)!;
    }

    /// <summary>The status and the problem's code of a refusal.</summary>
    public static async Task<(int Status, string? Code)> RefusalAsync(this Task<HttpResponseMessage> sending)
    {
        using var response = await sending;
        var body = await response.Content.ReadAsStringAsync(Ct);
        var code = response.Content.Headers.ContentType?.MediaType == "application/problem+json" ? JsonElement.Parse(body).GetProperty("code").GetString() : null;
        return ((int)response.StatusCode, code);
    }

    public static Task<HttpResponseMessage> PostTextAsync(this HttpClient client, string path, string json) =>
        client.PostAsync(path, new StringContent(json, System.Text.Encoding.UTF8, "application/json"), Ct);
}
