using AgentFlow.ServiceDefaults.Settings;

namespace AgentFlow.ApiService.Runs;

internal static class RunsRegistration
{
    /// <summary>Needs an <see cref="AgentRun"/> and a <see cref="ChooseAgent"/> beside it.</summary>
    public static IServiceCollection AddRuns(this IServiceCollection services)
    {
        services.AddValidatedOptions<RunsOptions>(RunsOptions.Section);
        services.AddSingleton<LocalRuns>().AddSingleton<RunStore>().AddSingleton<RunCreation>().AddSingleton<RememberedAgents>().AddSingleton<RunControl>().AddSingleton<RunInbox>().AddSingleton<RunCheckpoints>()
            .AddSingleton<RunCloser>().AddSingleton<TurnQueue>().AddSingleton<RunStarter>().AddSingleton<RunStreams>();

        // Stopped in the reverse order: the executor closes its runs while the lease holds and the log still writes.
        services.AddHosted<RunLog>().AddHosted<RemoteTails>().AddHosted<RunLease>().AddHosted<RunExecutor>();
        return services;
    }

    private static IServiceCollection AddHosted<T>(this IServiceCollection services)
        where T : class, IHostedService =>
        services.AddSingleton<T>().AddHostedService(provider => provider.GetRequiredService<T>());
}
