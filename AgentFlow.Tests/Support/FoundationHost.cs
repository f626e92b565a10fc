using AgentFlow.ServiceDefaults;
using AgentFlow.ServiceDefaults.Postgres;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.Support;

/// <summary>A minimal service on the foundations alone, with a database of its own; several may share one database as replicas do.</summary>
public sealed class FoundationHost : IAsyncDisposable
{
    private FoundationHost(WebApplication app, string connectionString)
    {
        App = app;
        ConnectionString = connectionString;
    }

    public WebApplication App { get; }

    public string ConnectionString { get; }

    public IServiceProvider Services => App.Services;

    public Database Database => Services.GetRequiredService<Database>();

    public static async Task<FoundationHost> StartAsync(
        Action<WebApplicationBuilder>? configure = null, string? connectionString = null, Action<WebApplication>? map = null)
    {
        connectionString ??= await PostgresCluster.Shared.CreateDatabaseAsync();
        var builder = WebApplication.CreateSlimBuilder();
        HostLog.AddTo(builder);
        builder.Configuration.AddInMemoryCollection(Patience.Settings);
        builder.Configuration.AddInMemoryCollection([KeyValuePair.Create("ConnectionStrings:foundation", (string?)connectionString)]);
        builder.WebHost.UseTestServer();
        builder.AddServiceDefaults("foundation");
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.AddPostgres("foundation", typeof(FoundationHost).Assembly);
        configure?.Invoke(builder);
        var app = builder.Build();
        app.UseServiceDefaults();
        map?.Invoke(app);
        app.MapDefaultEndpoints();
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new FoundationHost(app, connectionString);
    }

    public async ValueTask DisposeAsync()
    {
        await App.StopAsync(CancellationToken.None);
        await App.DisposeAsync();
    }
}
