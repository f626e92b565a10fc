using AgentFlow.ApiService.Tools.BuiltIn;
using AgentFlow.ApiService.Tools.Mcp;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Settings;

namespace AgentFlow.ApiService.Tools;

internal static class ToolRegistration
{
    public static IServiceCollection AddTools(this IServiceCollection services)
    {
        services.AddValidatedOptions<ToolOptions>(ToolOptions.Section);
        services.AddPublicFetch();
        services.AddSingleton<IToolSource, BuiltInTools>();
        services.AddSingleton<McpTools>();
        services.AddSingleton<IToolSource>(provider => provider.GetRequiredService<McpTools>());
        services.AddHostedService(provider => provider.GetRequiredService<McpTools>());
#if USE_SEMANTIC_KERNEL
        services.AddSingleton<IToolSource, SemanticKernel.KernelTools>();
#endif
        services.AddSingleton<ToolCatalog>();
        services.AddSingleton<ToolRunner>();
        services.AddSingleton<ApprovalStore>();
        return services.AddSingleton<Approvals>();
    }
}
