using System.ComponentModel.DataAnnotations;
using AgentFlow.ServiceDefaults.Settings;

namespace AgentFlow.ApiService.Models;

/// <summary>Section <c>Models</c>: which providers answer. None configured: the built-in extractive model does.</summary>
internal sealed class ModelOptions : IValidatableObject
{
    public const string Section = "Models";

    /// <summary>Tried by priority. Filled from <c>OPENAI_API_KEY</c>, <c>OPENAI_BASE_URL</c> and <c>OPENAI_MODEL</c> where none is given here.</summary>
    public IList<ProviderOptions> Providers { get; init; } = [];

    /// <summary>The built-in model.</summary>
    public ExtractiveOptions Extractive { get; init; } = new();

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Providers.GroupBy(p => p.DisplayName, StringComparer.OrdinalIgnoreCase).FirstOrDefault(g => g.Count() > 1) is { } twice)
            yield return new ValidationResult($"found the name '{twice.Key}' twice among Providers. Give each provider a Name of its own.");
    }
}

/// <summary>One OpenAI-compatible endpoint, <c>Models:Providers:&lt;n&gt;</c>.</summary>
internal sealed class ProviderOptions : IValidatableObject
{
    /// <summary>Shown to people and in telemetry; default: the endpoint's host and the model.</summary>
    public string? Name { get; set; }

    /// <summary>Up to and with the version, such as <c>https://api.openai.com/v1</c> (the default).</summary>
    public string Endpoint { get; set; } = "https://api.openai.com/v1";

    /// <summary>Sent as a bearer token; absent for local servers that want none.</summary>
    public string? ApiKey { get; set; }

    /// <summary>As the provider calls it; default gpt-4o-mini.</summary>
    public string Model { get; set; } = "gpt-4o-mini";

    /// <summary>chat, extraction, embedding; empty means chat and extraction.</summary>
    public IList<string> Roles { get; init; } = [];

    /// <summary>Lower goes first; 0 by default.</summary>
    public int Priority { get; set; }

    /// <summary>Tokens that the model can take, prompt and answer; 1,000 to 10,000,000, default 32,000 (what current small models all take).</summary>
    [Range(1_000, 10_000_000)]
    public int ContextTokens { get; set; } = 32_000;

    /// <summary>Price of a million prompt tokens, in any currency; absent: no cost is reported.</summary>
    [Range(0, 1_000_000)]
    public decimal? InputPrice { get; set; }

    /// <summary>Price of a million answer tokens.</summary>
    [Range(0, 1_000_000)]
    public decimal? OutputPrice { get; set; }

    /// <summary>From the request to the first token; default 60 s (long prompts on small local servers).</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "01:00:00")]
    public TimeSpan FirstTokenTimeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>Between two pieces of an answer; default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "01:00:00")]
    public TimeSpan InterTokenTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>For a whole answer; default 10 minutes.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "24:00:00")]
    public TimeSpan TotalTimeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Tries before the first token, the first included; 1 to 10, default 3.</summary>
    [Range(1, 10)]
    public int MaxAttempts { get; set; } = 3;

    /// <summary>A <c>Retry-After</c> up to this long is waited for, a longer one counts as a refusal; default 10 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan MaxRetryAfter { get; set; } = TimeSpan.FromSeconds(10);

    public string DisplayName => string.IsNullOrWhiteSpace(Name)
        ? $"{(Uri.TryCreate(Endpoint, UriKind.Absolute, out var uri) ? uri.Host : Endpoint)}/{Model}"
        : Name;

    public bool Serves(string role) => Roles.Count == 0
        ? role is ModelRoles.Chat or ModelRoles.Extraction
        : Roles.Contains(role, StringComparer.OrdinalIgnoreCase);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!Uri.TryCreate(Endpoint, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
            yield return new ValidationResult("Give an absolute http or https address, such as https://api.openai.com/v1.", [nameof(Endpoint)]);
        if (string.IsNullOrWhiteSpace(Model))
            yield return new ValidationResult("Name the model as the provider calls it.", [nameof(Model)]);
        if (Roles.Any(role => !ModelRoles.All.Contains(role, StringComparer.OrdinalIgnoreCase)))
            yield return new ValidationResult($"Use any of {string.Join(", ", ModelRoles.All)}.", [nameof(Roles)]);
    }
}

internal static class ModelRoles
{
    public const string Chat = "chat";
    public const string Extraction = "extraction";
    public const string Embedding = "embedding";

    public static readonly string[] All = [Chat, Extraction, Embedding];
}

/// <summary>Section <c>Models:Extractive</c>: the model that answers where no provider is configured.</summary>
internal sealed class ExtractiveOptions
{
    /// <summary>Pace of a streamed answer; 0 to 100,000, 0 for full pace. Default 60: an answer of three sentences takes about a second.
    /// Answers that nobody watches (one JSON) are always at full pace.</summary>
    [Range(0, 100_000)]
    public int WordsPerSecond { get; set; } = 60;

    /// <summary>Sentences of documents in an answer; 1 to 10, default 3.</summary>
    [Range(1, 10)]
    public int MaxSentences { get; set; } = 3;
}

internal static class ModelOptionsRegistration
{
    public static IServiceCollection AddModelOptions(this IServiceCollection services)
    {
        services.AddValidatedOptions<ModelOptions>(ModelOptions.Section).PostConfigure<IConfiguration>(AddOpenAIVariables);
        return services;
    }

    /// <summary>The three variables that every OpenAI client knows, read only where no provider is configured.</summary>
    private static void AddOpenAIVariables(ModelOptions options, IConfiguration configuration)
    {
        var key = configuration["OPENAI_API_KEY"];
        var address = configuration["OPENAI_BASE_URL"];
        if (options.Providers.Count > 0 || (string.IsNullOrWhiteSpace(key) && string.IsNullOrWhiteSpace(address)))
            return;
        var provider = new ProviderOptions { ApiKey = string.IsNullOrWhiteSpace(key) ? null : key };
        if (!string.IsNullOrWhiteSpace(address))
        {
            provider.Endpoint = Uri.TryCreate(address, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
                ? address
                : throw new SettingException("OPENAI_BASE_URL", $"found '{address}'", "Write an absolute http or https address, such as https://api.openai.com/v1");
        }

        if (configuration["OPENAI_MODEL"] is { Length: > 0 } model)
            provider.Model = model;
        options.Providers.Add(provider);
    }
}
