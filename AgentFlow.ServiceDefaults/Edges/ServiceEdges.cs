using System.Net;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.HostFiltering;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using IPNetwork = System.Net.IPNetwork;

namespace AgentFlow.ServiceDefaults.Edges;

/// <summary>The outermost edge, the same for every service: whose addresses are believed, which names are answered, how many connections, and HTTPS.</summary>
public static class ServiceEdges
{
    /// <summary>Names that reach a service where <c>AllowedHosts</c> is not set: this machine only. What else a browser is made to send is DNS rebinding.</summary>
    private static readonly string[] LoopbackHosts = ["localhost", "127.0.0.1", "[::1]"];

    private static readonly TimeSpan KeepAlive = TimeSpan.FromSeconds(60);

    public static WebApplicationBuilder AddServiceEdges(this WebApplicationBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var services = builder.Services;
        services.AddValidatedOptions<EdgeOptions>(EdgeOptions.Section);
        services.AddValidatedOptions<ConnectionOptions>(ConnectionOptions.Section);
        services.AddOptions<ForwardedHeadersOptions>().Configure<IOptions<EdgeOptions>, IConfiguration>(ConfigureForwarding);
        services.AddOptions<HostFilteringOptions>().Configure<IConfiguration>((hosts, configuration) =>
        {
            var named = (configuration["AllowedHosts"] ?? "").Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
            hosts.AllowedHosts = named.Length == 0 ? LoopbackHosts : [.. named, .. LoopbackHosts];
            hosts.IncludeFailureMessage = false;
        });
        services.AddHostFiltering(static _ => { });
        services.AddOptions<KestrelServerOptions>().Configure<IOptions<ConnectionOptions>>(ConfigureKestrel);
        return builder;
    }

    /// <summary>First of a service's own middleware.</summary>
    /// <param name="app">The service.</param>
    /// <param name="facesBrowsers">False for a service that only programs of a private network call: there HTTPS is asked for only by <c>Edges:HttpsRedirect</c>.</param>
    public static WebApplication UseServiceEdges(this WebApplication app, bool facesBrowsers = true)
    {
        ArgumentNullException.ThrowIfNull(app);
        app.UseForwardedHeaders();
        app.UseHostFiltering();
        if (app.Services.GetRequiredService<IOptions<EdgeOptions>>().Value.HttpsRedirect ?? (facesBrowsers && !app.Environment.IsDevelopment()))
        {
            app.UseMiddleware<HttpsOnly>();
        }

        return app;
    }

    private static void ConfigureForwarding(ForwardedHeadersOptions forwarded, IOptions<EdgeOptions> edges, IConfiguration configuration)
    {
        var proxies = edges.Value.TrustedProxies;

        // The operator's word that every way in is a proxy, as Azure Container Apps says it: the framework has set the options.
        if (proxies.Count == 0 && configuration.GetValue<bool>("FORWARDEDHEADERS_ENABLED"))
        {
            return;
        }

        forwarded.KnownProxies.Clear();
        forwarded.KnownIPNetworks.Clear();
        forwarded.ForwardedHeaders = proxies.Count == 0 ? ForwardedHeaders.None : ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto;
        foreach (var proxy in proxies)
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

    /// <summary>The framework's defaults take any number of connections and wait half a minute for headers.</summary>
    private static void ConfigureKestrel(KestrelServerOptions kestrel, IOptions<ConnectionOptions> limits)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxConcurrentConnections = limits.Value.Connections;
        kestrel.Limits.MaxConcurrentUpgradedConnections = limits.Value.WebSockets;
        kestrel.Limits.RequestHeadersTimeout = limits.Value.HeadersTimeout;
        kestrel.Limits.KeepAliveTimeout = KeepAlive;
    }
}
