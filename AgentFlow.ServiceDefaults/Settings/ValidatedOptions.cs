using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace AgentFlow.ServiceDefaults.Settings;

public static class ValidatedOptions
{
    /// <summary>
    /// Binds a section and checks it before the service starts: attributes, then <see cref="IValidatableObject"/>. A value that can not be
    /// read or is out of range stops the start with a message that names key, value and what is allowed.
    /// </summary>
    public static OptionsBuilder<TOptions> AddValidatedOptions<TOptions>(this IServiceCollection services, string section)
        where TOptions : class, new()
    {
        services.AddSingleton<IValidateOptions<TOptions>>(new AttributeRules<TOptions>(section));
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
        }
        catch (InvalidOperationException error)
        {
            // Raw message: "Failed to convert configuration value 'many' at 'Postgres:MaxPoolSize' to type 'System.Int32'."
            throw new SettingException(section, error.Message.TrimEnd('.'), "Correct the value; docs/configuration.md lists type, range and default of each key");
        }
    }

    private sealed class AttributeRules<TOptions>(string section) : IValidateOptions<TOptions>
        where TOptions : class
    {
        public ValidateOptionsResult Validate(string? name, TOptions options)
        {
            var problems = new List<ValidationResult>();
            if (Validator.TryValidateObject(options, new ValidationContext(options), problems, validateAllProperties: true))
            {
                return ValidateOptionsResult.Success;
            }

            return ValidateOptionsResult.Fail(problems.Select(problem => Describe(options, problem)));
        }

        private string Describe(TOptions options, ValidationResult problem)
        {
            var member = problem.MemberNames.FirstOrDefault();
            if (member is null)
            {
                return $"{section}: {problem.ErrorMessage}";
            }

            var property = typeof(TOptions).GetProperty(member);
            var secret = member.Contains("Key", StringComparison.Ordinal) || member.Contains("Token", StringComparison.Ordinal)
                || member.Contains("Secret", StringComparison.Ordinal) || member.Contains("Password", StringComparison.Ordinal);
            var value = secret ? "(hidden)" : property?.GetValue(options)?.ToString() ?? "nothing";
            return $"{section}:{member}: found {value}. {problem.ErrorMessage}";
        }
    }
}
