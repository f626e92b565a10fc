using System.ComponentModel.DataAnnotations;

namespace AgentFlow.ApiService.Tools;

/// <summary>Section <c>Tools</c>.</summary>
internal sealed class ToolOptions : IValidatableObject
{
    public const string Section = "Tools";

    /// <summary>For one call; default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "01:00:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Calls of one run side by side; 1 to 32, default 4.</summary>
    [Range(1, 32)]
    public int MaxParallel { get; set; } = 4;

    /// <summary>Characters of a result that the model gets; longer ones are cut with a notice. 1,000 to 1,000,000, default 16,000 (about 4,000 tokens).</summary>
    [Range(1_000, 1_000_000)]
    public int MaxResultCharacters { get; set; } = 16_000;

    /// <summary>How long a call waits for a person; default 1 hour.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "7.00:00:00")]
    public TimeSpan ApprovalTimeout { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Lets agents that are granted fetch_url read public web pages. Off by default.</summary>
    public bool FetchUrl { get; set; }

    /// <summary>Of one fetched page; 1 KiB to 20 MiB, default 1 MiB.</summary>
    [Range(1_024, 20 * 1024 * 1024)]
    public long MaxFetchBytes { get; set; } = 1024 * 1024;

    /// <summary>MCP servers by name, <c>Tools:Mcp:&lt;name&gt;</c>; a tool is then called <c>name.tool</c> in an agent's grants.</summary>
    public IDictionary<string, McpServerOptions> Mcp { get; init; } = new Dictionary<string, McpServerOptions>(StringComparer.Ordinal);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        foreach (var (name, server) in Mcp)
        {
            if (!name.All(c => char.IsAsciiLetterOrDigit(c) || c == '-') || name.Length > 30)
                yield return new ValidationResult($"found the name '{name}' under Mcp. Use up to 30 letters, digits and hyphens.");
        }
    }
}

/// <summary>One MCP server: an address, or a command to start.</summary>
internal sealed class McpServerOptions : IValidatableObject
{
    /// <summary>Of a streamable HTTP server.</summary>
    public string? Endpoint { get; set; }

    /// <summary>Program of a stdio server, started by this service with its rights.</summary>
    public string? Command { get; set; }

    /// <summary>Of <see cref="Command"/>, one each.</summary>
    public IList<string> Arguments { get; init; } = [];

    /// <summary>Sent as a bearer token to <see cref="Endpoint"/>.</summary>
    public string? ApiKey { get; set; }

    /// <summary>For one call; default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "01:00:00")]
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Calls side by side over all runs; default 4.</summary>
    [Range(1, 100)]
    public int MaxParallel { get; set; } = 4;

    /// <summary>Between two looks whether the server still answers; one that does not is connected to anew, and its tools are not there meanwhile. Default 30 s.</summary>
    [Range(typeof(TimeSpan), "00:00:00.050", "01:00:00")]
    public TimeSpan Look { get; set; } = TimeSpan.FromSeconds(30);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if ((Endpoint is null) == (Command is null))
            yield return new ValidationResult("Give either Endpoint or Command.", [Command is null ? nameof(Endpoint) : nameof(Command)]);
        else if (Endpoint is not null && (!Uri.TryCreate(Endpoint, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https")))
            yield return new ValidationResult("Give an absolute http or https address.", [nameof(Endpoint)]);
    }
}
