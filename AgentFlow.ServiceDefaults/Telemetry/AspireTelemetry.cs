#if USE_ASPIRE
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace AgentFlow.ServiceDefaults.Telemetry;

/// <summary>Compiled only with <c>UseAspire=true</c>: the same sources, hosted by OpenTelemetry.Extensions.Hosting.</summary>
internal static class AspireTelemetry
{
    public static void Add(WebApplicationBuilder builder, string serviceName, string[] sources, string[] meters)
    {
        builder.Logging.AddOpenTelemetry(options =>
        {
            options.IncludeFormattedMessage = true;
            options.IncludeScopes = true;
        });
        builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(serviceName))
            .WithTracing(tracing => tracing.AddSource(sources))
            .WithMetrics(metrics => metrics.AddMeter(meters))
            .UseOtlpExporter();
    }
}
#endif
