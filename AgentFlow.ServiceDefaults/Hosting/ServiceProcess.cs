using AgentFlow.ServiceDefaults.Settings;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentFlow.ServiceDefaults.Hosting;

/// <summary>Runs a service as a process: a setting that is wrong ends it with one clear message instead of a stack trace.</summary>
public static class ServiceProcess
{
    /// <summary>sysexits' EX_CONFIG: something in the configuration is wrong, and a restart will not help.</summary>
    public const int ConfigurationError = 78;

    /// <param name="build">Makes the application; what it throws about settings is reported, too.</param>
    /// <returns>0 after a clean stop, 78 when a setting stopped the start.</returns>
    public static async Task<int> RunAsync(Func<WebApplication> build)
    {
        ArgumentNullException.ThrowIfNull(build);
        if (HealthVerb.IsAskedFor(Environment.GetCommandLineArgs()))
            return await HealthVerb.RunAsync(CancellationToken.None);
        try
        {
            await using var app = build();

            // Before the host does it itself: what it finds, it logs with its stack trace.
            app.Services.GetService<IStartupValidator>()?.Validate();
            await app.RunAsync();
            return 0;
        }
        catch (SettingException error)
        {
            return Refuse([error.Message]);
        }
        catch (OptionsValidationException error)
        {
            return Refuse(error.Failures);
        }
        catch (InvalidOperationException error) when (UnreadableSetting.Is(error))
        {
            return Refuse([UnreadableSetting.Explain(error, "The configuration").Message]);
        }
        catch (AggregateException error) when (error.Flatten().InnerExceptions.All(inner => inner is OptionsValidationException or SettingException))
        {
            return Refuse(error.Flatten().InnerExceptions.SelectMany(inner => inner is OptionsValidationException options ? options.Failures : [inner.Message]));
        }
    }

    private static int Refuse(IEnumerable<string> problems)
    {
        foreach (var problem in problems)
        {
            Console.Error.WriteLine($"Can not start: {problem}");
        }

        return ConfigurationError;
    }
}
