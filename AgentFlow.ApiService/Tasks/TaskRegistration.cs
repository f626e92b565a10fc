using AgentFlow.ServiceDefaults.Http;
using AgentFlow.ServiceDefaults.Queue;

namespace AgentFlow.ApiService.Tasks;

internal static class TaskRegistration
{
    /// <summary>What <c>/api/tasks</c> can be asked for. Needs the queue, runs, chat and documents.</summary>
    public static IServiceCollection AddBackgroundTasks(this IServiceCollection services)
    {
        services.AddSingleton<BackgroundTurns>();
        services.AddSingleton<TaskFiles>();
        services.AddServiceHttpClient<MemoryBulk>("memory", MemoryBulk.Timeout).RemoveAllLoggers();
        services.AddTaskHandler<RunTask>();
        services.AddTaskHandler<QuestionsTask>();
        services.AddTaskHandler<MemoryExportTask>();
        services.AddTaskHandler<MemoryImportTask>();
        services.AddTaskHandler<ReembedTask>();
        services.AddTaskHandler<EraseTask>();
        return services;
    }
}
