using AgentFlow.ServiceDefaults.Settings;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>The OpenAI-compatible endpoint that extracts facts; null members mean that rules do it.</summary>
/// <param name="Address">Base address with a trailing slash, such as <c>https://api.openai.com/v1/</c>.</param>
internal sealed record ExtractionModelOptions(Uri? Address, string? ApiKey, string? Model)
{
    private const string DefaultAddress = "https://api.openai.com/v1";
    private const string DefaultModel = "gpt-4o-mini";

    /// <summary>
    /// The first of <c>Models:Providers</c> by priority that has the role extraction or no roles; without providers,
    /// <c>OPENAI_API_KEY</c>, <c>OPENAI_BASE_URL</c> and <c>OPENAI_MODEL</c>; else nothing.
    /// </summary>
    /// <exception cref="SettingException">An endpoint is no absolute http address, </exception>
    internal static ExtractionModelOptions From(IConfiguration configuration)
    {
        var providers = configuration.GetSection("Models:Providers").GetChildren()
            .Select(section => (Section: section, Roles: section.GetSection("Roles").Get<string[]>() ?? [], Priority: section.GetValue("Priority", 0)))
            .Where(provider => provider.Roles.Length == 0 || provider.Roles.Contains("extraction", StringComparer.OrdinalIgnoreCase))
            .OrderBy(provider => provider.Priority)
            .Select(provider => provider.Section)
            .FirstOrDefault();
        if (providers is not null)
        {
            return new ExtractionModelOptions(
                Parse($"{providers.Path}:Endpoint", providers["Endpoint"] ?? DefaultAddress),
                providers["ApiKey"],
                providers["Model"] ?? DefaultModel);
        }

        if (configuration.GetSection("Models:Providers").GetChildren().Any())
            return new ExtractionModelOptions(null, null, null);

        var key = configuration["OPENAI_API_KEY"];
        var address = configuration["OPENAI_BASE_URL"];
        return string.IsNullOrEmpty(key) && string.IsNullOrEmpty(address)
            ? new ExtractionModelOptions(null, null, null)
            : new ExtractionModelOptions(Parse("OPENAI_BASE_URL", string.IsNullOrEmpty(address) ? DefaultAddress : address), key, configuration["OPENAI_MODEL"] ?? DefaultModel);
    }

    private static Uri Parse(string key, string value) =>
        Uri.TryCreate(value.TrimEnd('/') + "/", UriKind.Absolute, out var address) && address.Scheme is "http" or "https"
            ? address
            : throw new SettingException(key, $"found '{value}'", "Write an absolute http or https address");
}
