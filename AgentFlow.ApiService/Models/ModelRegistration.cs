using AgentFlow.ServiceDefaults.Health;

using AgentFlow.ApiService.Models.Usage;
using AgentFlow.ServiceDefaults.Settings;

namespace AgentFlow.ApiService.Models;

internal static class ModelRegistration
{
    public static IServiceCollection AddModels(this IServiceCollection services)
    {
        services.AddModelOptions();
        services.AddSingleton<ModelCatalog>();
        services.AddSingleton<ChatPipeline>();
        services.AddValidatedOptions<BudgetOptions>(BudgetOptions.Section);
        services.AddValidatedOptions<ContentTelemetryOptions>(ContentTelemetryOptions.Section);
        services.AddSingleton<UsageStore>();
        services.AddSingleton<IReadinessCheck, ModelCheck>();
        services.AddHttpClient(ChatPipeline.HttpClientName, client => client.Timeout = Timeout.InfiniteTimeSpan)
            .ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler
            {
                // Providers are the administrator's own addresses, so a proxy from the environment is meant for them; redirects are not.
                AllowAutoRedirect = false,
                ConnectTimeout = TimeSpan.FromSeconds(10),
                PooledConnectionLifetime = TimeSpan.FromMinutes(5),
                UseCookies = false,
            })
            .SetHandlerLifetime(Timeout.InfiniteTimeSpan)
            .RemoveAllLoggers();
        return services;
    }
}
