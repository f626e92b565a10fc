using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentFlow.ServiceDefaults.Http;

public static class ServiceHttpClients
{
    /// <summary>
    /// A typed client of one of our services: its address, a connection limit that does not queue silently, a limit per try, one retry of
    /// what is safe to repeat, and a circuit that opens while the service is down.
    /// </summary>
    /// <param name="services">The registrations.</param>
    /// <param name="service">As in <c>services:name:http:0</c>.</param>
    /// <param name="timeout">For one try. Streams set <see cref="ServiceResilience.Streaming"/> on the request and have limits of their own.</param>
    public static IHttpClientBuilder AddServiceHttpClient<TClient>(this IServiceCollection services, string service, TimeSpan timeout)
        where TClient : class
    {
        // A missing or wrong address stops the start, not the first call.
        services.AddOptions<ServiceAddress>(service)
            .Configure<ServiceAddresses>((address, addresses) => address.Value = addresses.Of(service))
            .ValidateOnStart();
        return services
            .AddHttpClient<TClient>((provider, client) =>
            {
                client.BaseAddress = provider.GetRequiredService<IOptionsMonitor<ServiceAddress>>().Get(service).Value;
                client.Timeout = Timeout.InfiniteTimeSpan;
            })
            .ConfigurePrimaryHttpMessageHandler(() => new SocketsHttpHandler
            {
                ConnectTimeout = TimeSpan.FromSeconds(2),
                PooledConnectionLifetime = TimeSpan.FromMinutes(5),
                AllowAutoRedirect = false,
                UseProxy = false,
                UseCookies = false,
            })
            .AddHttpMessageHandler(provider => new ServiceResilience(service, timeout, provider.GetRequiredService<TimeProvider>()));
    }

    private sealed class ServiceAddress
    {
        public Uri? Value { get; set; }
    }
}
