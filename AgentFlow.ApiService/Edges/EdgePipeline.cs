using System.Net;
using AgentFlow.ApiService.Limits;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;
using IPNetwork = System.Net.IPNetwork;

namespace AgentFlow.ApiService.Edges;

/// <summary>
/// What a request passes before a route's handler, in this order: (outer: telemetry and problem details) forwarded headers, host filter,
/// HTTPS, security headers, routing, CORS, authentication, rate limit, request log, content rules, time limit, authorization, ids, idempotency.
/// </summary>
internal static class EdgePipeline
{
    /// <summary>Names that reach the service where <c>AllowedHosts</c> is not set: this machine only.</summary>
    private static readonly string[] LoopbackHosts = ["localhost", "127.0.0.1", "[::1]"];

    private static readonly string[] ExposedHeaders = ["RateLimit", "RateLimit-Policy", "Retry-After", "Location", "ETag", "Content-Disposition"];

    public static WebApplicationBuilder AddEdges(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddValidatedOptions<EdgeOptions>(EdgeOptions.Section);
        services.AddValidatedOptions<CorsOriginOptions>(CorsOriginOptions.Section).PostConfigure<IConfiguration>((cors, configuration) =>
        {
            if (configuration["FRONTEND_URL"] is { Length: > 0 } frontend)
            {
                cors.Origins.Add(frontend.TrimEnd('/'));
            }
        });
        services.AddOptions<ForwardedHeadersOptions>().Configure<IOptions<EdgeOptions>>(ConfigureForwarding);
        services.AddOptions<HostFilteringOptions>().Configure<IConfiguration>((hosts, configuration) =>
        {
            var named = (configuration["AllowedHosts"] ?? "").Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            hosts.AllowedHosts = named.Length == 0 ? LoopbackHosts : named;
            hosts.IncludeFailureMessage = false;
        });
        services.AddHostFiltering(static _ => { });
        services.AddIdempotency();
        services.AddCors();
        services.AddOptions<CorsOptions>().Configure<IOptions<CorsOriginOptions>>((cors, origins) => cors.AddDefaultPolicy(policy => policy
            .WithOrigins([.. origins.Value.Origins])
            .WithMethods("GET", "POST", "PUT", "PATCH", "DELETE")
            .WithHeaders("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-API-Key", "If-None-Match", "Range", "traceparent")
            .WithExposedHeaders(ExposedHeaders)
            .SetPreflightMaxAge(TimeSpan.FromMinutes(10))));
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<LimitOptions>>(ConfigureKestrel);
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.Converters.Add(new StorableStringConverter());
            json.SerializerOptions.Converters.Add(new StorableElementConverter());
        });
        return builder;
    }

    public static WebApplication UseEdges(this WebApplication app)
    {
        var redirect = app.Services.GetRequiredService<IOptions<EdgeOptions>>().Value.HttpsRedirect ?? !app.Environment.IsDevelopment();
        app.UseForwardedHeaders();
        app.UseHostFiltering();
        if (redirect)
        {
            app.UseMiddleware<HttpsOnly>();
        }

        app.UseMiddleware<SecurityHeaders>();
        app.UseRouting();
        app.UseCors();
        app.UseAuthentication();
        app.UseMiddleware<RateLimit>();
        app.UseMiddleware<RequestLog>();
        app.UseMiddleware<ContentRules>();
        app.UseRequestTimeouts();
        app.UseMiddleware<BodyDeadline>();
        app.UseAuthorization();
        app.UseMiddleware<StreamAccess>();
        app.UseMiddleware<RouteIds>();
        app.UseIdempotency();
        return app;
    }

    private static void ConfigureForwarding(ForwardedHeadersOptions forwarded, IOptions<EdgeOptions> edges)
    {
        forwarded.KnownProxies.Clear();
        forwarded.KnownIPNetworks.Clear();
        forwarded.ForwardedHeaders = edges.Value.TrustedProxies.Count == 0 ? ForwardedHeaders.None : ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto;
        foreach (var proxy in edges.Value.TrustedProxies)
        {
            if (IPAddress.TryParse(proxy, out var address))
            {
                forwarded.KnownProxies.Add(address);
            }
            else
            {
                forwarded.KnownIPNetworks.Add(IPNetwork.Parse(proxy));
            }
        }
    }

    /// <summary>The framework's defaults leave a connection that sends 300 bytes a second open for hours, and take any number of them.</summary>
    private static void ConfigureKestrel(KestrelServerOptions kestrel, IOptions<LimitOptions> options)
    {
        var limits = options.Value;
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = limits.JsonBodyBytes;
        kestrel.Limits.MaxConcurrentConnections = limits.Connections;
        kestrel.Limits.MaxConcurrentUpgradedConnections = limits.WebSockets;
        kestrel.Limits.RequestHeadersTimeout = limits.HeadersTimeout;
        kestrel.Limits.KeepAliveTimeout = TimeSpan.FromSeconds(60);
    }
}
