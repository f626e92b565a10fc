using System.Net.Http.Headers;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService;
using AgentFlow.MemoryService.Access;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.Tests.Support;

/// <summary>The real memory service on a free port, for soak runs and load runs; knows nothing of the test framework.</summary>
internal sealed class BareMemory : IAsyncDisposable
{
    private readonly WebApplication _app;

    private BareMemory(WebApplication app)
    {
        _app = app;
        Address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
    }

    public Uri Address { get; }

    public static async Task<BareMemory> StartAsync(string connectionString, CancellationToken ct, params (string Key, string Value)[] settings)
    {
        var app = MemoryServiceApplication.Build(["--urls", "http://127.0.0.1:0", "--environment", "Production"], builder => builder.Configuration.AddInMemoryCollection(
        [
            KeyValuePair.Create("ConnectionStrings:agentflow-memory", (string?)connectionString), KeyValuePair.Create("Logging:LogLevel:Default", (string?)"None"),
            .. settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)),
        ]));
        await app.StartAsync(ct);
        return new BareMemory(app);
    }

    public T Get<T>()
        where T : notnull => _app.Services.GetRequiredService<T>();

    /// <summary>With a key of the given owner; bound to a subject where one is given.</summary>
    public async Task<HttpClient> ClientAsync(Guid owner, MemoryScope? subject, CancellationToken ct)
    {
        var key = await Get<ApiKeyStore>().CreateAsync(owner, new NewMemoryKey { Name = "run", Scopes = ["read", "write"], Subject = subject }, ct);
        var http = new HttpClient { BaseAddress = Address };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key.Secret);
        return http;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(CancellationToken.None);
        await _app.DisposeAsync();
    }
}
