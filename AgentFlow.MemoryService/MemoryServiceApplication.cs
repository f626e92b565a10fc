using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Erasure;
using AgentFlow.MemoryService.Events;
using AgentFlow.MemoryService.Exchange;
using AgentFlow.MemoryService.Graph;
using AgentFlow.MemoryService.Mem0;
using AgentFlow.MemoryService.Mem0.Backend;
using AgentFlow.MemoryService.Memories;
using AgentFlow.MemoryService.Review;
using AgentFlow.MemoryService.Search;
using AgentFlow.ServiceDefaults;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.MemoryService;

/// <summary>The service as the process runs it and as tests host it.</summary>
internal static class MemoryServiceApplication
{
    /// <param name="args">Of the command line.</param>
    /// <param name="configure">Last word on settings and services, for tests.</param>
    internal static WebApplication Build(string[] args, Action<WebApplicationBuilder>? configure = null)
    {
        var builder = WebApplication.CreateBuilder(args);
        configure?.Invoke(builder);
        builder.AddServiceDefaults("agentflow-memory");
        builder.AddPostgres("agentflow-memory", typeof(MemoryServiceApplication).Assembly);
        builder.Services.AddTaskQueue();
        builder.AddEdges();
        builder.AddAccess();
        builder.AddMemoryIndex();
        builder.AddMemories();
        builder.AddMem0();
        builder.Services.AddOpenApi();
        var app = builder.Build();
        app.UseServiceDefaults();
        app.UseEdges();
        app.MapDefaultEndpoints();
        app.MapKeys();
        if (Mem0Backend.IsAskedFor(app.Configuration))
            app.MapMem0Backend();
        else
            app.MapLocalBackend();
        app.MapOpenApi().AllowAnonymous();
        return app;
    }

    private static void MapLocalBackend(this WebApplication app)
    {
        app.MapMemories();
        app.MapSearch();
        app.MapEvents();
        app.MapGraph();
        app.MapReview();
        app.MapExchange();
        app.MapErasure();
        app.MapMem0();
    }
}
