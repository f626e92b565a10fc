using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;

namespace AgentFlow.ServiceDefaults.Settings;

/// <summary>
/// Checks an options object and everything inside it: attributes, <see cref="IValidatableObject"/>, and that an enumeration's value is one
/// of its names. Each fault names its key, the value that was found (never a secret's) and what is allowed.
/// </summary>
public static class OptionRules
{
    private static readonly string[] SecretWords = ["Key", "Token", "Secret", "Password"];

    /// <param name="path">The section's key, such as <c>Models:Providers:0</c>.</param>
    /// <returns>Nothing when all is well.</returns>
    public static IEnumerable<string> Check(string path, object options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var problems = new List<ValidationResult>();
        Validator.TryValidateObject(options, new ValidationContext(options), problems, validateAllProperties: true);
        foreach (var problem in problems)
            yield return Describe(path, options, problem);
        foreach (var property in Settable(options.GetType()))
        {
            var value = property.GetValue(options);
            if (value is Enum chosen && !Enum.IsDefined(value.GetType(), chosen))
                yield return $"{path}:{property.Name}: found {value}. Write one of {string.Join(", ", Enum.GetNames(value.GetType()))}.";
            foreach (var fault in Inside(value).SelectMany(inner => Check($"{path}:{property.Name}{inner.Place}", inner.Value)))
                yield return fault;
        }
    }

    /// <summary>What a message may show of a text.</summary>
    public static string Show(string key, string value)
    {
        ArgumentNullException.ThrowIfNull(key);
        var last = key[(key.LastIndexOf(':') + 1)..];
        return Array.Exists(SecretWords, word => last.EndsWith(word, StringComparison.Ordinal) || last.EndsWith(word + "s", StringComparison.Ordinal)) ? "(hidden)" : $"'{value}'";
    }

    /// <summary>Options of our own inside a value: itself, or the members of a list or dictionary.</summary>
    private static IEnumerable<(string Place, object Value)> Inside(object? value) => value switch
    {
        null or string => [],
        IDictionary named => named.Keys.Cast<object>().Where(key => IsOptions(named[key])).Select(key => ($":{key}", named[key]!)),
        IEnumerable listed => listed.Cast<object?>().Select((each, i) => (Place: string.Create(CultureInfo.InvariantCulture, $":{i}"), Value: each)).Where(each => IsOptions(each.Value)).Select(each => (each.Place, each.Value!)),
        _ => IsOptions(value) ? [("", value)] : [],
    };

    private static bool IsOptions(object? value) => value?.GetType() is { IsClass: true } type && type.Name.EndsWith("Options", StringComparison.Ordinal);

    private static IEnumerable<PropertyInfo> Settable(Type type) =>
        type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.GetIndexParameters().Length == 0);

    private static string Describe(string path, object options, ValidationResult problem)
    {
        if (problem.MemberNames.FirstOrDefault() is not { } member)
            return $"{path}: {problem.ErrorMessage}";
        var value = options.GetType().GetProperty(member)?.GetValue(options) switch
        {
            null => "nothing",
            string text => Show(member, text),
            IEnumerable list => string.Join(", ", list.Cast<object>().Select(each => $"'{each}'")),
            IFormattable number => $"'{number.ToString(null, CultureInfo.InvariantCulture)}'",
            var other => $"'{other}'",
        };
        return $"{path}:{member}: found {value}. {problem.ErrorMessage}";
    }
}
