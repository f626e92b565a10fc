using AgentFlow.ApiService.Context;
using AgentFlow.ApiService.Learning;
using AgentFlow.ApiService.Models;
using AgentFlow.ApiService.Documents;
using AgentFlow.ApiService.Rooms;
using AgentFlow.ApiService.Runs;
using AgentFlow.ApiService.Tools;
using AgentFlow.ApiService.Tools.BuiltIn;
using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Queue;
using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Agents;

internal static class AgentRegistration
{
    /// <summary>The memory service answers searches in milliseconds; the recall's own deadline is shorter still.</summary>
    private static readonly TimeSpan MemoryTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Agents with their models, recall and learning. Provides <see cref="AgentRun"/> and <see cref="ChooseAgent"/> to the runs.</summary>
    public static IServiceCollection AddAgents(this IServiceCollection services)
    {
        services.AddModels();
        services.AddRecall();
        services.AddSingleton<SearchDocuments>(provider =>
        {
            var (own, common) = (provider.GetRequiredService<DocumentSearch>(), provider.GetRequiredService<RoomDocuments>());
            return (run, query, topK, ct) =>
            {
                var agent = run.Agent.Retrieval;
                var passages = new PassageQuery(query, topK) { Collections = agent.Collections.Count > 0 ? agent.Collections : null, Rerank = agent.Rerank };
                return run.IsRoom ? common.SearchAsync(new(run.OwnerId.Value), passages, ct) : own.SearchAsync(run.OwnerId, passages, ct);
            };
        });
        services.AddTools();
        services.AddServiceHttpClient<MemoryClient>("memory", MemoryTimeout).RemoveAllLoggers();
        services.AddSingleton<Learner>();
        services.AddTaskHandler<LearnTask>();
        services.AddValidatedOptions<AgentOptions>(AgentOptions.Section);
        services.AddSingleton(provider => new AgentCatalog(
            AgentFiles.Read(provider.GetRequiredService<IOptions<AgentOptions>>().Value.Path, BuiltInTools.Names),
            provider.GetRequiredService<AgentStore>(),
            provider.GetRequiredService<ModelCatalog>()));
        services.AddSingleton<AgentStore>();
        services.AddSingleton<AgentLoop>();
        services.AddSingleton<AgentRun>(provider => provider.GetRequiredService<AgentLoop>().RunAsync);
        services.AddSingleton<BeginRecall>(provider => provider.GetRequiredService<Recall>().RunAsync);
        services.AddSingleton<ChooseAgent>(provider => provider.GetRequiredService<AgentCatalog>().ChooseAsync);
        return services.AddHostedService<AgentStart>();
    }

    /// <summary>Reads the definitions before the service listens, so that a bad one stops the start.</summary>
    private sealed class AgentStart(AgentCatalog catalog) : IHostedLifecycleService
    {
        public Task StartingAsync(CancellationToken cancellationToken) => Task.FromResult(catalog.Files.Count);

        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
