using AgentFlow.ServiceDefaults.Http;

namespace AgentFlow.Web.Api;

internal static class ApiRegistration
{
    public static WebApplicationBuilder AddApi(this WebApplicationBuilder builder)
    {
        builder.Services.AddServiceHttpClient<ApiClient>("api", ApiClient.Timeout);
        builder.Services.AddTransient<RunStream>();
        builder.Services.AddTransient<AccountClient>();
        return builder;
    }
}
