using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace AgentFlow.Retrieval.Embedding;

/// <summary>The server that embeds. Without one, <see cref="HashingEmbeddingGenerator"/> does, offline.</summary>
/// <param name="Endpoint">Base address with a trailing slash, such as <c>https://api.openai.com/v1/</c>.</param>
/// <param name="Dimensions">Length of the model's vectors, 8 to 8,192.</param>
public sealed record EmbeddingServer(Uri Endpoint, string? ApiKey, string Model, int Dimensions)
{
    public const string Section = "Embedding";

    private const string OpenAI = "https://api.openai.com/v1";

    /// <summary>Lengths that OpenAI's reference gives for its models (2026-11).</summary>
    private static readonly Dictionary<string, int> Known = new(StringComparer.OrdinalIgnoreCase)
    {
        ["text-embedding-3-small"] = 1_536, ["text-embedding-3-large"] = 3_072, ["text-embedding-ada-002"] = 1_536,
    };

    /// <summary>Longest wait for one call. Default 10 s, 0.1 s to 5 min.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Texts in one call, 1 to 2,048 (OpenAI's limit). Default 64.</summary>
    public int BatchSize { get; init; } = 64;

    public EmbeddingSpace Space => new(Model, Dimensions);

    /// <summary>Asked for only where the model can shorten its vectors and shall.</summary>
    internal int? AskedDimensions => Known.TryGetValue(Model, out var usual) && usual != Dimensions ? Dimensions : null;

    /// <summary>
    /// <c>Embedding:Model</c> with <c>Endpoint</c>, <c>ApiKey</c>, <c>Dimensions</c>, <c>Timeout</c> and <c>BatchSize</c>; else the first of
    /// <c>Models:Providers</c> by priority that has the role embedding, with its <c>Dimensions</c>; else null.
    /// </summary>
    /// <exception cref="FormatException">A value is wrong; the message names key, value and cure.</exception>
    public static EmbeddingServer? Find(IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var own = configuration.GetSection(Section);
        if (!string.IsNullOrEmpty(own["Model"]))
            return Read(own);
        var provider = configuration.GetSection("Models:Providers").GetChildren()
            .Where(each => each.GetSection("Roles").GetChildren().Any(role => string.Equals(role.Value, "embedding", StringComparison.OrdinalIgnoreCase)))
            .OrderBy(each => int.TryParse(each["Priority"], CultureInfo.InvariantCulture, out var priority) ? priority : 0)
            .FirstOrDefault();
        if (provider is not null)
            return Read(provider);
        return string.IsNullOrEmpty(own["Endpoint"])
            ? null
            : throw new FormatException($"{Section}:Model is not set beside {Section}:Endpoint. Name the model, such as text-embedding-3-small.");
    }

    private static EmbeddingServer Read(IConfigurationSection section)
    {
        var model = section["Model"] is { Length: > 0 } named ? named : throw new FormatException($"{section.Path}:Model is not set. Name the embedding model.");
        var text = section["Endpoint"] is { Length: > 0 } given ? given : OpenAI;
        if (!Uri.TryCreate(text.TrimEnd('/') + "/", UriKind.Absolute, out var endpoint) || endpoint.Scheme is not ("http" or "https"))
            throw new FormatException($"{section.Path}:Endpoint: found {text}. Write an absolute http or https address.");
        var dimensions = Number(section, "Dimensions", 8, 8_192) ?? (Known.TryGetValue(model, out var usual) ? usual
            : throw new FormatException($"{section.Path}:Dimensions is not set, and {model} is not a model whose length is known. Write the length of its vectors."));
        var timeout = section["Timeout"] is not { Length: > 0 } span ? TimeSpan.FromSeconds(10)
            : TimeSpan.TryParse(span, CultureInfo.InvariantCulture, out var parsed) && parsed >= TimeSpan.FromSeconds(0.1) && parsed <= TimeSpan.FromMinutes(5) ? parsed
            : throw new FormatException($"{section.Path}:Timeout: found {span}. Write 00:00:00.1 to 00:05:00.");
        return new EmbeddingServer(endpoint, section["ApiKey"], model, dimensions) { Timeout = timeout, BatchSize = Number(section, "BatchSize", 1, 2_048) ?? 64 };
    }

    private static int? Number(IConfigurationSection section, string name, int least, int most) =>
        section[name] is not { Length: > 0 } text ? null
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most ? number
        : throw new FormatException($"{section.Path}:{name}: found {text}. Write a number from {least} to {most}.");
}
