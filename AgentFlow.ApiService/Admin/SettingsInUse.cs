using System.Globalization;
using System.Text.RegularExpressions;
using AgentFlow.Contracts.Admin;

namespace AgentFlow.ApiService.Admin;

/// <summary>The settings that concern AgentFlow, as they are in use. A value is shown only when nothing about it looks like a secret.</summary>
internal static partial class SettingsInUse
{
    private const string Hidden = "(hidden)";

    private static readonly string[] Sections =
    [
        "Auth", "Limits", "Edges", "Cors", "Fetch", "Models", "Embedding", "Memory", "Documents", "Tools", "Agents", "Runs", "Queue", "Postgres", "OpenApi", "Logging", "services",
        "ConnectionStrings", "AllowedHosts", "FRONTEND_URL", "POSTGRES_URL", "QDRANT_URL", "QDRANT_PORT", "QDRANT_API_KEY", "NEO4J_URL", "MEM0_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL",
        "OPENAI_MODEL", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "ASPNETCORE_ENVIRONMENT", "ENVIRONMENT",
    ];

    public static IReadOnlyList<Setting> Of(IConfiguration configuration) =>
    [
        .. Sections.SelectMany(section => configuration.GetSection(section).AsEnumerable())
            .Where(pair => pair.Value is not null)
            .Select(pair => new Setting(pair.Key, Show(pair.Key, pair.Value!)))
            .DistinctBy(setting => setting.Key, StringComparer.OrdinalIgnoreCase)
            .OrderBy(setting => setting.Key, StringComparer.OrdinalIgnoreCase),
    ];

    internal static string Show(string key, string value)
    {
        if (SecretKey().IsMatch(key) && !IsPlain(value))
        {
            return Hidden;
        }

        // Anything that carries a user and password, or is long and random, whatever its name.
        return value.Contains('@', StringComparison.Ordinal) || RandomText().IsMatch(value) ? Hidden : value;
    }

    private static bool IsPlain(string value) =>
        bool.TryParse(value, out _) || long.TryParse(value, NumberStyles.Integer, CultureInfo.InvariantCulture, out _) || TimeSpan.TryParse(value, CultureInfo.InvariantCulture, out _);

    [GeneratedRegex("key|secret|token|password|credential|connectionstrings|headers|_url$|authorization", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex SecretKey();

    [GeneratedRegex("(?=.*[0-9])(?=.*[a-zA-Z])[A-Za-z0-9+/_-]{24,}", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex RandomText();
}
