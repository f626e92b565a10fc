using System.Text.RegularExpressions;

namespace AgentFlow.ServiceDefaults.Settings;

/// <summary>What the framework's binder throws for a value of another type, said in words of a setting.</summary>
internal static partial class UnreadableSetting
{
    private const string Cure = "Correct the value; docs/configuration.md lists type, range and default of each key";

    /// <summary>Numbers, times and flags only: a text, and so a secret, is always readable.</summary>
    public static bool Is(InvalidOperationException error) => Binder().IsMatch(error.Message);

    /// <param name="error">Of the binder.</param>
    /// <param name="section">Named where the binder names no key.</param>
    public static SettingException Explain(InvalidOperationException error, string section)
    {
        if (Binder().Match(error.Message) is not { Success: true } match)
            return new SettingException(section, error.Message.TrimEnd('.'), Cure);
        var key = match.Groups["key"].Value;
        return new SettingException(key, $"found '{match.Groups["value"].Value}', which is no {Name(match.Groups["type"].Value)}", Cure);
    }

    private static string Name(string type) => type switch
    {
        "System.Int32" or "System.Int64" => "whole number",
        "System.Double" or "System.Decimal" => "number",
        "System.Boolean" => "true or false",
        "System.TimeSpan" => "time as d.hh:mm:ss",
        var other => other.Split('.', '+')[^1],
    };

    /// <summary>Example: <c>Failed to convert configuration value 'many' at 'Postgres:MaxPoolSize' to type 'System.Int32'.</c></summary>
    [GeneratedRegex(
        @"value '(?<value>.*)' at '(?<key>[^']+)' to type '(?:System\.Nullable`1\[)?(?<type>[\w.+]+)\]?'",
        RegexOptions.ExplicitCapture | RegexOptions.Singleline,
        matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Binder();
}
