using AgentFlow.ServiceDefaults.Settings;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.ServiceDefaults.Queue;

public static class QueueRegistration
{
    /// <summary>The queue and, unless <c>Queue:Enabled</c> is off, this process' worker. Needs <c>AddPostgres</c>.</summary>
    public static IServiceCollection AddTaskQueue(this IServiceCollection services)
    {
        services.AddValidatedOptions<QueueOptions>(QueueOptions.Section);
        services.AddSingleton<DurableQueue>();
        services.AddSingleton<TaskStore>();
        services.AddHostedService<BacklogGauges>();
        return services.AddHostedService<TaskWorker>();
    }

    public static IServiceCollection AddTaskHandler<THandler>(this IServiceCollection services)
        where THandler : class, ITaskHandler => services.AddSingleton<ITaskHandler, THandler>();
}
