using AgentFlow.ApiService.Limits;
using AgentFlow.ServiceDefaults.Edges;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Settings;
using AgentFlow.ServiceDefaults.Tokens;
using Microsoft.AspNetCore.Cors.Infrastructure;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Edges;

/// <summary>
/// What a request passes before a route's handler, in this order: (outer: telemetry and problem details) forwarded headers, host filter,
/// HTTPS, our Web's word about its browser, security headers, routing, CORS, authentication, rate limit, request log, content rules, time limit, authorization, ids, idempotency.
/// </summary>
internal static class EdgePipeline
{
    private static readonly string[] ExposedHeaders = ["RateLimit", "RateLimit-Policy", "Retry-After", "Location", "ETag", "Content-Disposition"];

    public static WebApplicationBuilder AddEdges(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        builder.AddServiceEdges();
        services.AddValidatedOptions<CorsOriginOptions>(CorsOriginOptions.Section).PostConfigure<IConfiguration>((cors, configuration) =>
        {
            if (configuration["FRONTEND_URL"] is { Length: > 0 } frontend)
            {
                cors.Origins.Add(frontend.TrimEnd('/'));
            }
        });
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
        app.UseServiceEdges();
        app.Use(static (context, next) => FrontEnd.BelieveAsync(context, next, context.RequestServices.GetRequiredService<JwtCodec>()));
        app.UseMiddleware<SecurityHeaders>();
        app.UseRouting();
        app.UseCors();
        app.UseAuthentication();
        app.UseMiddleware<RateLimit>();
        app.UseMiddleware<RequestLog>();
        app.UseMiddleware<ContentRules>();
        app.UseMiddleware<ChatBodySize>();
        app.UseRequestTimeouts();
        app.UseMiddleware<BodyDeadline>();
        app.UseAuthorization();
        app.UseMiddleware<StreamAccess>();
        app.UseMiddleware<RouteIds>();
        app.UseIdempotency();
        return app;
    }

    /// <summary>What no route says otherwise; the framework's default is 30 MB.</summary>
    private static void ConfigureKestrel(KestrelServerOptions kestrel, IOptions<LimitOptions> options) =>
        kestrel.Limits.MaxRequestBodySize = options.Value.JsonBodyBytes;
}
