using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace AgentFlow.ServiceDefaults.Telemetry;

/// <summary>Logs, traces and metrics over OTLP when <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> is set; nothing leaves the machine otherwise.</summary>
internal static class TelemetryRegistration
{
    private const string EndpointKey = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <summary>Exact names of the runtime's and libraries' own sources; ours all begin with <c>AgentFlow.</c></summary>
    private static readonly string[] Sources = ["Microsoft.AspNetCore", "System.Net.Http", "Npgsql", "AgentFlow.*"];

    private static readonly string[] Meters =
    [
        "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "Microsoft.AspNetCore.RateLimiting", "System.Net.Http",
        "Npgsql", "System.Runtime", "AgentFlow.*",
    ];

    public static void AddTelemetry(this WebApplicationBuilder builder, string serviceName)
    {
        // The server's span is bare unless this is off; RequestTelemetry adds route, status and error.
        AppContext.SetSwitch("Microsoft.AspNetCore.Hosting.SuppressActivityOpenTelemetryData", false);
        AddConsole(builder);
        if (string.IsNullOrEmpty(builder.Configuration[EndpointKey]))
        {
            Identified.Start();
            return;
        }

#if USE_ASPIRE
        AspireTelemetry.Add(builder, serviceName, Sources, Meters);
#else
        AddProviders(builder, serviceName);
#endif
    }

#if !USE_ASPIRE
    private static void AddProviders(WebApplicationBuilder builder, string serviceName)
    {
        var resource = ResourceBuilder.CreateDefault().AddService(serviceName, serviceInstanceId: Guid.NewGuid().ToString("D")).AddEnvironmentVariableDetector();
        builder.Logging.AddOpenTelemetry(options =>
        {
            options.SetResourceBuilder(resource);
            options.IncludeFormattedMessage = true;
            options.IncludeScopes = true;
            options.AddOtlpExporter();
        });
        var tracer = Sdk.CreateTracerProviderBuilder().SetResourceBuilder(resource).AddSource(Sources).AddOtlpExporter().Build();
        var meter = Sdk.CreateMeterProviderBuilder().SetResourceBuilder(resource).AddMeter(Meters).AddOtlpExporter().Build();
        builder.Services.AddHostedService(_ => new TelemetryLifetime(tracer, meter));
    }
#endif

    /// <summary>Lowest in rank, so that any configuration wins: a line a request is ours to write, and without what its address says.</summary>
    private static readonly Dictionary<string, string?> Levels = new(StringComparer.Ordinal)
    {
        ["Logging:LogLevel:Microsoft.AspNetCore"] = "Warning",
        ["Logging:LogLevel:System.Net.Http.HttpClient"] = "Warning",
        ["Logging:LogLevel:Npgsql"] = "Warning",

        // The framework's base class says every 401 twice more than the request's own line.
        ["Logging:LogLevel:AgentFlow.ApiService.Identity.CallerAuthentication"] = "Warning",
        ["Logging:LogLevel:AgentFlow.MemoryService.Access.MemoryAuthentication"] = "Warning",
    };

    /// <summary>
    /// Nobody collects spans, but log lines and error answers still name their trace: work that goes on in the background gets an activity
    /// with ids and nothing else. Once for the process.
    /// </summary>
    private static class Identified
    {
        private static readonly ActivityListener Listener = new()
        {
            ShouldListenTo = static source => source.Name.StartsWith("AgentFlow.", StringComparison.Ordinal),
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.PropagationData,
        };

        static Identified() => ActivitySource.AddActivityListener(Listener);

        /// <summary>The first call runs the line above.</summary>
        public static void Start() => System.Runtime.CompilerServices.RuntimeHelpers.RunClassConstructor(typeof(Identified).TypeHandle);
    }

    private static void AddConsole(WebApplicationBuilder builder)
    {
        // Writes addresses with their query, which holds what people search for. Not even at Trace: each service writes a line of its own.
        builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.Warning);

        // The same of what people type into a page (the arguments of every call of a circuit) and of what their files are called.
        builder.Logging.AddFilter("Microsoft.AspNetCore.SignalR", LogLevel.Information);
        builder.Logging.AddFilter("Microsoft.AspNetCore.Http.Result", LogLevel.Warning);
        builder.Configuration.Sources.Insert(0, new Microsoft.Extensions.Configuration.Memory.MemoryConfigurationSource { InitialData = Levels });
        builder.Logging.Configure(options =>
            options.ActivityTrackingOptions = ActivityTrackingOptions.TraceId | ActivityTrackingOptions.SpanId);
        if (builder.Environment.IsDevelopment())
        {
            builder.Logging.AddSimpleConsole(options =>
            {
                options.SingleLine = true;
                options.TimestampFormat = "HH:mm:ss.fff ";
                options.ColorBehavior = Microsoft.Extensions.Logging.Console.LoggerColorBehavior.Disabled;
            });
        }
        else
        {
            builder.Logging.AddJsonConsole(options =>
            {
                options.IncludeScopes = true;
                options.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ";
                options.UseUtcTimestamp = true;
            });
        }
    }

    /// <summary>Sends what is left when the service stops.</summary>
    private sealed class TelemetryLifetime(TracerProvider tracer, MeterProvider meter) : IHostedService
    {
        private const int FlushMilliseconds = 1_000;

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.Run(
            () =>
            {
                tracer.Shutdown(FlushMilliseconds);
                meter.Shutdown(FlushMilliseconds);
            },
            cancellationToken);
    }
}
