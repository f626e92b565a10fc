using AgentFlow.MemoryService.Mem0.Hosted;
using AgentFlow.MemoryService.Mem0.SelfHosted;

namespace AgentFlow.MemoryService.Mem0;

internal static class Mem0Registration
{
    internal static WebApplicationBuilder AddMem0(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<Mem0Calls>().AddSingleton<SubjectStore>().AddSingleton<ExportStore>();
        return builder;
    }

    /// <summary>Every route that speaks Mem0's wire formats, so that its clients work unmodified.</summary>
    internal static void MapMem0(this IEndpointRouteBuilder routes)
    {
        var mem0 = routes.MapMem0Group();
        HostedMemories.Map(mem0);
        HostedEntities.Map(mem0);
        HostedExtras.Map(mem0);
        HostedLegacy.Map(mem0);
        SelfHostedEndpoints.Map(mem0);
    }
}
