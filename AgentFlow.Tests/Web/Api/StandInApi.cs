using AgentFlow.ServiceDefaults.Tokens;
using AgentFlow.Tests.Support;
using AgentFlow.Web.Api;
using AgentFlow.Web.Sessions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace AgentFlow.Tests.Web.Api;

/// <summary>A server in the API's place that answers as a test says, and the front end's own clients for it.</summary>
internal static class StandInApi
{
    /// <summary>Its routes are the test's; it listens on a free port once started.</summary>
    public static WebApplication Create()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        return builder.Build();
    }

    /// <summary>The clients of somebody who is not signed in, since no route asks who it is.</summary>
    public static ServiceProvider ClientOf(WebApplication app)
    {
        var services = new ServiceCollection();
        services.AddSingleton(TimeProvider.System).AddLogging().AddMemoryCache().AddHttpContextAccessor();
        services.AddSingleton(KeyRing.Parse(ApiHost.Keys)).AddSingleton<JwtCodec>().AddSingleton<SecretSeal>();
        services.AddSingleton<SessionVault>().AddSingleton<SessionStore>().AddScoped<FrontEndSignature>().AddScoped<SessionAccess>();
        services.AddHttpClient<ApiClient>(client => client.BaseAddress = new Uri(app.Urls.First()));
        services.AddTransient<RunStream>();
        return services.BuildServiceProvider();
    }
}
