using AgentFlow.ApiService.Account;
using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Chat;
using AgentFlow.ApiService.Admin;
using AgentFlow.ApiService.Documents;
using AgentFlow.ApiService.Documents.Extraction;
using AgentFlow.ApiService.Edges;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Models.Usage;
using AgentFlow.ApiService.Tools;
using AgentFlow.ApiService.Memories;
using AgentFlow.ApiService.WebSessions;
using AgentFlow.ApiService.OpenApi;
using AgentFlow.ApiService.Rooms;
using AgentFlow.ApiService.Runs;
using AgentFlow.ApiService.Sockets;
using AgentFlow.ApiService.Tasks;
using AgentFlow.ServiceDefaults;
using AgentFlow.ServiceDefaults.Hosting;
using AgentFlow.ServiceDefaults.Postgres;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.ApiService;

/// <summary>Registration and mapping, in the order in which a request meets the parts.</summary>
internal static class Program
{
    public static Task<int> Main(string[] args) =>
        ExtractVerb.IsAskedFor(args) ? Task.FromResult(ExtractVerb.Run(args))
        : UserCommand.IsAskedFor(args) ? UserCommand.RunAsync(args)
        : ServiceProcess.RunAsync(() => Build(args));

    internal static WebApplication Build(string[] args, Action<WebApplicationBuilder>? configure = null)
    {
        var builder = WebApplication.CreateBuilder(args);
        configure?.Invoke(builder);
        builder.AddServiceDefaults("agentflow-api");
        builder.AddPostgres("agentflow-api", typeof(Program).Assembly);
        builder.AddEdges();
        builder.AddIdentity();
        builder.AddLimits();
        builder.Services.AddTaskQueue();
        builder.Services.AddRuns().AddChat().AddSockets();
        builder.Services.AddDocuments(builder.Configuration);
        builder.Services.AddBackgroundTasks();
        builder.Services.AddAgents();
        builder.Services.AddRooms();
        builder.AddMemories();
        builder.AddWebSessions();
        builder.AddAdmin();
        builder.AddOpenApiDocs();

        var app = builder.Build();
        app.UseServiceDefaults();
        app.UseEdges();
        app.MapDefaultEndpoints();
        app.MapIdentity();
        app.MapAccount();
        app.MapChat();
        app.MapSockets();
        app.MapRooms();
        app.MapDocuments();
        app.MapTasks();
        app.MapAgents();
        app.MapModels();
        app.MapUsage();
        app.MapApprovals();
        app.MapMemories();
        app.MapWebSessions();
        app.MapAdmin();
        app.MapOpenApiDocs();
        Policies.RequireEverywhere(app);
        return app;
    }
}
