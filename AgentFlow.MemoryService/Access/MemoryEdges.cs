using AgentFlow.ServiceDefaults.Edges;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Idempotency;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace AgentFlow.MemoryService.Access;

/// <summary>
/// What a request passes before a route's handler, in this order: (outer: telemetry and problem details) forwarded headers, host filter, routing, authentication,
/// content rules, authorization, ids, idempotency.
/// </summary>
internal static class MemoryEdges
{
    /// <summary>Body of a JSON request at most: 1,000 messages and their metadata, but no uploads.</summary>
    private const long MaxBodyBytes = 8 << 20;

    internal static WebApplicationBuilder AddEdges(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        builder.AddServiceEdges();
        services.AddIdempotency();
        services.Configure<KestrelServerOptions>(kestrel => kestrel.Limits.MaxRequestBodySize = MaxBodyBytes);
        services.ConfigureHttpJsonOptions(json =>
        {
            json.SerializerOptions.Converters.Add(new StorableStringConverter());
            json.SerializerOptions.Converters.Add(new StorableElementConverter());
        });
        return builder;
    }

    internal static WebApplication UseEdges(this WebApplication app)
    {
        app.UseServiceEdges(facesBrowsers: false);
        app.UseRouting();
        app.UseAuthentication();
        app.UseMiddleware<ContentRules>();
        app.UseAuthorization();
        app.UseMiddleware<RouteIds>();
        app.UseIdempotency();
        return app;
    }
}
