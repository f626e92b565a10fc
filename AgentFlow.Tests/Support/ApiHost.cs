using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Auth;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.Support;

/// <summary>
/// The real ApiService in this process, on Kestrel and a free loopback port, with a fresh database in the run's cluster. A class fixture
/// (<c>IClassFixture&lt;ApiHost&gt;</c>), or made by <see cref="StartAsync"/> with settings of its own. The first account (the administrator)
/// exists already; <see cref="RegisterAsync"/> makes others.
/// </summary>
public sealed class ApiHost : IAsyncLifetime
{
    public const string Password = "correct horse battery staple";

    private static readonly string SharedKeys = $"t1:{Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))}";
    private readonly Dictionary<string, string?> settings = new(StringComparer.OrdinalIgnoreCase);
    private readonly Action<WebApplicationBuilder>? configure;
    private readonly Action<WebApplicationBuilder>? configureMemory;
    private WebApplication? app;
    private WebApplication? memory;
    private int users;

    public ApiHost()
        : this([], null)
    {
    }

    private ApiHost(Dictionary<string, string?> settings, Action<WebApplicationBuilder>? configure, Action<WebApplicationBuilder>? configureMemory = null)
    {
        this.settings = settings;
        this.configure = configure;
        this.configureMemory = configureMemory;
    }

    /// <summary>The signing keys that all hosts of the run share, as <c>Auth:Keys</c>.</summary>
    public static string Keys => SharedKeys;

    /// <summary>The one signing key's bytes, for tests that forge tokens.</summary>
    public static byte[] Secret => Convert.FromBase64String(SharedKeys[(SharedKeys.IndexOf(':', StringComparison.Ordinal) + 1)..]);

    public static string SetupToken { get; } = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));

    public Uri Address { get; private set; } = null!;

    /// <summary>The administrator's connection string of this host's database.</summary>
    public string ConnectionString { get; private set; } = "";

    public IServiceProvider Services => app!.Services;

    /// <summary>The routes, for tests that go over all of them.</summary>
    public WebApplication App => app!;

    public TestUser Admin { get; private set; } = null!;

    /// <param name="settings">Configuration keys, over the test defaults (limits that no test meets by accident, open registration).</param>
    /// <param name="configure">Before the service registers anything; later registrations win.</param>
    /// <param name="configureMemory">The same for the memory service beside it.</param>
    public static async Task<ApiHost> StartAsync(Dictionary<string, string?> settings, Action<WebApplicationBuilder>? configure = null, Action<WebApplicationBuilder>? configureMemory = null)
    {
        var host = new ApiHost(settings, configure, configureMemory);
        await host.InitializeAsync();
        return host;
    }

    public async ValueTask InitializeAsync()
    {
        if (ConnectionString.Length == 0)
        {
            ConnectionString = settings.GetValueOrDefault("ConnectionStrings:agentflow-api") ?? await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Api);
        }

        if (settings.ContainsKey("Test:Memory") && memory is null)
        {
            await StartMemoryAsync();
        }

        app = global::AgentFlow.ApiService.Program.Build([], Configure);
        RouteCoverage.Declare("api", app);
        await app.StartAsync(TestContext.Current.CancellationToken);
        Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        if (Admin is null && !settings.ContainsKey("Test:NoAdmin"))
        {
            Admin = await RegisterAsync("admin", SetupToken);
        }
    }

    /// <summary>Stops the service; the database stays.</summary>
    public async Task StopAsync()
    {
        await app!.StopAsync(CancellationToken.None);
        await app.DisposeAsync();
    }

    /// <summary>Starts it again on the same database, as after a restart.</summary>
    public async Task RestartAsync()
    {
        await StopAsync();
        await InitializeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (app is not null)
        {
            await StopAsync();
        }

        if (memory is not null)
        {
            await memory.StopAsync(CancellationToken.None);
            await memory.DisposeAsync();
        }
    }

    /// <summary>The memory service beside it, where settings have <c>Test:Memory</c>; stopped only at the end.</summary>
    public WebApplication Memory => memory!;

    /// <summary>The administrator's connection string of the memory service's database, where there is one.</summary>
    public string MemoryConnectionString { get; private set; } = "";

    private async Task StartMemoryAsync()
    {
        var database = MemoryConnectionString = await PostgresCluster.Shared.CreateDatabaseAsync(PostgresCluster.Memory);
        memory = global::AgentFlow.MemoryService.MemoryServiceApplication.Build([], builder =>
        {
            builder.Environment.EnvironmentName = "Development";
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            HostLog.AddTo(builder);
            builder.Configuration.AddInMemoryCollection(Patience.Settings);
            builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["ConnectionStrings:agentflow-memory"] = database,
                ["Logging:LogLevel:Default"] = "Warning",
                ["Auth:Keys"] = SharedKeys,
                ["Postgres:MaxPoolSize"] = "8",
            });
            builder.Configuration.AddInMemoryCollection(settings);
            configureMemory?.Invoke(builder);
        });
        await memory.StartAsync(TestContext.Current.CancellationToken);
        settings["services:memory:http:0"] = memory.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
    }

    /// <summary>A client without credentials. No redirects, no cookies.</summary>
    public HttpClient Client(string? bearer = null)
    {
        var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false, UseProxy = false }) { BaseAddress = Address, Timeout = TimeSpan.FromMinutes(5) };
        if (bearer is not null)
        {
            client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
        }

        return client;
    }

    /// <summary>A new account, signed in.</summary>
    public async Task<TestUser> RegisterAsync(string name = "user", string? setupToken = null)
    {
        using var client = Client();
        var number = Interlocked.Increment(ref users).ToString(CultureInfo.InvariantCulture);
        var request = new RegisterRequest { Email = $"{name}-{number}@example.test", Password = Password, DisplayName = $"{name} {number}", SetupToken = setupToken };
        using var response = await client.PostAsJsonAsync("/api/auth/register", request, ContractJson.Options, TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode is HttpStatusCode.Created, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        var tokens = await response.Content.ReadFromJsonAsync<TokenResponse>(ContractJson.Options, TestContext.Current.CancellationToken);
        return new TestUser(this, tokens!);
    }

    private void Configure(WebApplicationBuilder builder)
    {
        builder.Environment.EnvironmentName = settings.GetValueOrDefault("Test:Environment") ?? "Development";
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(RouteCoverage.Recorder("api"));
        HostLog.AddTo(builder);
        builder.Services.PostConfigure<HostOptions>(options => options.ShutdownTimeout = Patience.Limit);
        builder.Configuration.AddInMemoryCollection(Patience.Settings);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["ConnectionStrings:agentflow-api"] = ConnectionString,
            ["Logging:LogLevel:Default"] = "Warning",
            ["Auth:Keys"] = SharedKeys,
            ["Auth:SetupToken"] = SetupToken,
            ["Auth:Registration"] = "open",
            ["Postgres:MaxPoolSize"] = "8",
            ["services:memory:http:0"] = "http://127.0.0.1:9",
            ["Limits:ChatPerMinute"] = "100000",
            ["Limits:RequestsPerMinute"] = "1000000",
            ["Limits:AnonymousPerMinute"] = "1000000",
            ["Limits:UploadsPerMinute"] = "100000",
            ["Limits:SignInsPerAddress"] = "100000",
            ["Limits:SignInsPerAccount"] = "100000",
        });
        if (settings.ContainsKey("Models:Providers:0:Endpoint"))
        {
            builder.Configuration.AddInMemoryCollection(Patience.ProviderSettings);
        }

        builder.Configuration.AddInMemoryCollection(settings);
        configure?.Invoke(builder);
    }
}

/// <summary>An account of a test and its tokens. <see cref="Client"/> sends the access token.</summary>
public sealed class TestUser(ApiHost host, TokenResponse tokens)
{
    public OwnerId Id => Tokens.User.Id;

    public string Email => Tokens.User.Email;

    public TokenResponse Tokens { get; } = tokens;

    public HttpClient Client { get; } = host.Client(tokens.AccessToken);

    /// <summary>A client with a new API key of these scopes.</summary>
    public async Task<HttpClient> KeyClientAsync(params string[] scopes)
    {
        var request = new ApiKeyRequest { Name = "test", Scopes = scopes };
        using var response = await Client.PostAsJsonAsync("/api/auth/keys", request, ContractJson.Options, TestContext.Current.CancellationToken);
        response.EnsureSuccessStatusCode();
        var created = await response.Content.ReadFromJsonAsync<ApiKeyCreated>(ContractJson.Options, TestContext.Current.CancellationToken);
        return host.Client(created!.Key);
    }
}
