using AgentFlow.ServiceDefaults.Settings;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Http.Timeouts;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Limits;

/// <summary>What a route says about its limits; what it leaves out is the default.</summary>
internal static class LimitRoutes
{
    public static WebApplicationBuilder AddLimits(this WebApplicationBuilder builder)
    {
        builder.Services.AddValidatedOptions<LimitOptions>(LimitOptions.Section);
        builder.Services.AddSingleton<CallerLimits>();
        builder.Services.AddRequestTimeouts();
        builder.Services.AddSingleton<IConfigureOptions<RequestTimeoutOptions>>(services => new ConfigureOptions<RequestTimeoutOptions>(timeouts =>
        {
            var limits = services.GetRequiredService<IOptions<LimitOptions>>().Value;
            timeouts.DefaultPolicy = new RequestTimeoutPolicy { Timeout = limits.RequestTimeout, TimeoutStatusCode = StatusCodes.Status504GatewayTimeout };
            timeouts.AddPolicy(UploadTimeout, new RequestTimeoutPolicy { Timeout = limits.UploadTimeout, TimeoutStatusCode = StatusCodes.Status504GatewayTimeout });
        }));
        return builder;
    }

    /// <summary>Counts against this bucket instead of the general one.</summary>
    public static TBuilder LimitAs<TBuilder>(this TBuilder route, LimitKind kind)
        where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new LimitedAs(kind));

    /// <summary>Takes bodies up to this size instead of the default for JSON.</summary>
    public static TBuilder TakeBodyOf<TBuilder>(this TBuilder route, long maxBytes)
        where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new BodyLimit(maxBytes));

    /// <summary>A stream of events: no time limit for the request as a whole; the stream has idle and total limits of its own.</summary>
    public static TBuilder Streams<TBuilder>(this TBuilder route)
        where TBuilder : IEndpointConventionBuilder => route.WithMetadata(new DisableRequestTimeoutAttribute());

    /// <summary>An upload: the longer time limit, the upload bucket and this body size.</summary>
    public static TBuilder Uploads<TBuilder>(this TBuilder route, long maxBytes)
        where TBuilder : IEndpointConventionBuilder =>
        route.WithMetadata(new RequestTimeoutAttribute(UploadTimeout), new BodyLimit(maxBytes), new LimitedAs(LimitKind.Upload));

    private const string UploadTimeout = "upload";

    /// <summary>Read by the routing middleware, which tells Kestrel.</summary>
    private sealed record BodyLimit(long? MaxRequestBodySize) : IRequestSizeLimitMetadata;
}
