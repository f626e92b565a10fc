using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Health;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Hosting;
using AgentFlow.ServiceDefaults.Settings;
using AgentFlow.ServiceDefaults.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace AgentFlow.ServiceDefaults;

/// <summary>What every service of ours has in common.</summary>
public static class ServiceDefaultsExtensions
{
    /// <summary>An open stream that watches only its request would hold the host for the default 30 s.</summary>
    private static readonly TimeSpan ShutdownTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Settings, logs, telemetry, health, problem details, strict JSON, and the parent's life line.</summary>
    /// <param name="builder">The service.</param>
    /// <param name="serviceName">As in traces and in connection names, such as <c>agentflow-api</c>.</param>
    public static WebApplicationBuilder AddServiceDefaults(this WebApplicationBuilder builder, string serviceName)
    {
        ArgumentNullException.ThrowIfNull(builder);
        DotEnv.Add(builder);
        HostSettings.Check(builder.Configuration);
        builder.AddTelemetry(serviceName);
        var services = builder.Services;
        services.TryAddSingleton(TimeProvider.System);
        services.Configure<HostOptions>(options => options.ShutdownTimeout = ShutdownTimeout);
        services.ConfigureHttpJsonOptions(options => ContractJson.Configure(options.SerializerOptions));
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        services.AddProblems();
        services.AddSingleton<Readiness>();
        services.AddHttpClient();
        services.AddSingleton<ServiceAddresses>();
        services.AddHostedService<ParentLifeline>();
        builder.WebHost.ConfigureKestrel(options => options.AddServerHeader = false);

        // Kestrel's default of 512 overflows when a thousand clients connect at once, which costs them a second each.
        builder.WebHost.UseSockets(options => options.Backlog = 4096);
        return builder;
    }

    /// <summary>The outermost middleware: every failure becomes problem details, and every server span gets its name, route and status.</summary>
    public static WebApplication UseServiceDefaults(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        app.UseMiddleware<RequestTelemetry>();
        app.UseMiddleware<ProblemEdge>();
        return app;
    }

    /// <summary><c>/health</c> touches nothing; <c>/ready</c> asks every <see cref="IReadinessCheck"/>.</summary>
    public static WebApplication MapDefaultEndpoints(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        HealthEndpoints.Map(app);
        return app;
    }
}
