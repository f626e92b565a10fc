using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentFlow.ServiceDefaults.Settings;

public static class ValidatedOptions
{
    /// <summary>
    /// Binds a section and checks it before the service starts, nested objects and lists included (<see cref="OptionRules"/>). A value that
    /// can not be read or is out of range stops the start with a message that names key, value and what is allowed.
    /// </summary>
    public static OptionsBuilder<TOptions> AddValidatedOptions<TOptions>(this IServiceCollection services, string section)
        where TOptions : class, new()
    {
        services.AddSingleton<IValidateOptions<TOptions>>(new Rules<TOptions>(section));
        return services.AddOptions<TOptions>()
            .Configure<IConfiguration>((options, configuration) => Bind(options, configuration, section))
            .ValidateOnStart();
    }

    private static void Bind<TOptions>(TOptions options, IConfiguration configuration, string section)
        where TOptions : class
    {
        try
        {
            configuration.GetSection(section).Bind(options);
            ReadElements(typeof(TOptions), configuration.GetSection(section));
        }
        catch (InvalidOperationException error)
        {
            throw UnreadableSetting.Explain(error, section);
        }
    }

    /// <summary>The binder leaves out an element of a list that it can not read, and says nothing; read alone, it says what is wrong.</summary>
    private static void ReadElements(Type options, IConfigurationSection section)
    {
        foreach (var property in options.GetProperties().Where(property => property.PropertyType.IsGenericType))
        {
            var element = property.PropertyType.GenericTypeArguments[^1];
            if (!element.Name.EndsWith("Options", StringComparison.Ordinal))
                continue;
            foreach (var child in section.GetSection(property.Name).GetChildren())
                child.Bind(Activator.CreateInstance(element));
        }
    }

    private sealed class Rules<TOptions>(string section) : IValidateOptions<TOptions>
        where TOptions : class
    {
        public ValidateOptionsResult Validate(string? name, TOptions options)
        {
            var faults = OptionRules.Check(section, options).ToList();
            return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
        }
    }
}
