using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Erasure;
using AgentFlow.MemoryService.Events;
using AgentFlow.MemoryService.Exchange;
using AgentFlow.MemoryService.Graph;
using AgentFlow.MemoryService.Mem0;
using AgentFlow.MemoryService.Memories;
using AgentFlow.MemoryService.Review;
using AgentFlow.MemoryService.Search;
using AgentFlow.ServiceDefaults;
using AgentFlow.ServiceDefaults.Edges;
using AgentFlow.ServiceDefaults.Idempotency;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.MemoryService;

/// <summary>The service as the process runs it and as tests host it.</summary>
internal static class MemoryServiceApplication
{
    /// <summary>Body of a JSON request at most: 1,000 messages and their metadata, but no uploads.</summary>
    private const long MaxBodyBytes = 8 << 20;

    /// <param name="args">Of the command line.</param>
    /// <param name="configure">Last word on settings and services, for tests.</param>
    internal static WebApplication Build(string[] args, Action<WebApplicationBuilder>? configure = null)
    {
        var builder = WebApplication.CreateBuilder(args);
        configure?.Invoke(builder);
        builder.AddServiceDefaults("agentflow-memory");
        builder.AddServiceEdges();
        builder.WebHost.ConfigureKestrel(options => options.Limits.MaxRequestBodySize = MaxBodyBytes);
        builder.AddPostgres("agentflow-memory", typeof(MemoryServiceApplication).Assembly);
        builder.Services.AddTaskQueue();
        builder.Services.AddIdempotency();
        builder.AddAccess();
        builder.AddMemoryIndex();
        builder.AddMemories();
        builder.AddMem0();
        builder.Services.AddOpenApi();
        var app = builder.Build();
        app.UseServiceDefaults();
        app.UseServiceEdges(facesBrowsers: false);
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseIdempotency();
        app.MapDefaultEndpoints();
        app.MapMemories();
        app.MapSearch();
        app.MapEvents();
        app.MapGraph();
        app.MapReview();
        app.MapExchange();
        app.MapErasure();
        app.MapKeys();
        app.MapMem0();
        app.MapOpenApi().AllowAnonymous();
        return app;
    }
}
