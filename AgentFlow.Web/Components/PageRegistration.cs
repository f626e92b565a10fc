using AgentFlow.Web.Components.Layout;
using AgentFlow.Web.State;
using Microsoft.AspNetCore.Components.Server;

namespace AgentFlow.Web.Components;

internal static class PageRegistration
{
    /// <summary>How long a page that lost its connection finds its circuit again; later it is loaded anew and attaches to its run.</summary>
    private static readonly TimeSpan CircuitRetention = TimeSpan.FromMinutes(3);

    public static WebApplicationBuilder AddPages(this WebApplicationBuilder builder)
    {
        builder.Services.AddRazorComponents().AddInteractiveServerComponents(options =>
        {
            options.DisconnectedCircuitRetentionPeriod = CircuitRetention;
            options.DisconnectedCircuitMaxRetained = 200;
            options.DetailedErrors = builder.Environment.IsDevelopment();
        });
        builder.Services.AddScoped<Workspace>();

        // The key ring is read when it is first needed: at the start the API may not be there yet.
        foreach (var eager in builder.Services.Where(service => service.ImplementationType?.Name is "DataProtectionHostedService").ToArray())
            builder.Services.Remove(eager);
        return builder;
    }

    public static void MapPages(this WebApplication app) =>
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode(options =>
        {
            // SecurityHeaders says it for every response.
            options.ContentSecurityFrameAncestorsPolicy = null;
        });
}
