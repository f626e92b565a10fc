using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using AgentFlow.Contracts;

namespace AgentFlow.ApiService.Agents;

/// <summary>
/// An agent: who answers, with what. The shape of <c>agents/configs/*.json</c> and of the agents' API. Checked where it is read
/// (<see cref="AgentRules"/>), trusted afterwards.
/// </summary>
internal sealed record AgentDefinition
{
    /// <summary>1 to 64 of a-z, 0-9 and hyphens, unique within an owner.</summary>
    public required string Slug { get; init; }

    /// <summary>For people; default: the slug.</summary>
    public string? Name { get; init; }

    public string? Description { get; init; }

    /// <summary>What the agent is told, up to 32,000 characters. In a file, <see cref="Prompt"/> may name it instead.</summary>
    public string? Instructions { get; init; }

    /// <summary>In files only: a file beside the definition that holds the instructions.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Prompt { get; init; }

    /// <summary>The models it may use, the first by default; <c>*</c> stands for every configured one.</summary>
    public IReadOnlyList<string> Models { get; init; } = [AnyModel];

    public IReadOnlyList<ToolGrant> Tools { get; init; } = [];

    public RetrievalSettings Retrieval { get; init; } = new();

    public MemorySettings Memory { get; init; } = new();

    public AgentLimits Limits { get; init; } = new();

    /// <summary>Randomness, 0 to 2; absent: the provider's default.</summary>
    [Range(0, 2)]
    public double? Temperature { get; init; }

    /// <summary>1 for a file's definition; counts up with each change over the API. In a PUT: the version that the change is for, or absent.</summary>
    public int Version { get; init; }

    /// <summary>Set by the service: <c>installation</c> for the files', <c>own</c> for the caller's; ignored in requests.</summary>
    public string? Source { get; init; }

    /// <summary>Set by the service: when this version was made; absent for the files'.</summary>
    public DateTimeOffset? CreatedAt { get; init; }

    public const string AnyModel = "*";

    /// <summary>Slug of the agent that answers where none is named.</summary>
    public const string Default = "default";

    [JsonIgnore]
    public string DisplayName => Name ?? Slug;

    public bool MayUse(string model) => Models.Contains(AnyModel, StringComparer.Ordinal) || Models.Contains(model, StringComparer.Ordinal);
}

/// <summary>A tool that an agent may use. What is not granted is not there.</summary>
internal sealed record ToolGrant
{
    public required string Name { get; init; }

    public ToolPolicyKind Policy { get; init; } = ToolPolicyKind.Allow;
}

internal enum ToolPolicyKind
{
    /// <summary>Runs when the model calls it, but for side effects after untrusted text was read.</summary>
    Allow,

    /// <summary>Waits for a person.</summary>
    Ask,

    /// <summary>Never runs; the model is told.</summary>
    Deny,
}

internal sealed record RetrievalSettings
{
    public bool Enabled { get; init; } = true;

    /// <summary>Passages in the prompt.</summary>
    [Range(1, 50)]
    public int TopK { get; init; } = 6;

    /// <summary>Collections, own or shared, that the agent is limited to, at most 50; empty: everything that its user may read.</summary>
    public IReadOnlyList<CollectionId> Collections { get; init; } = [];

    /// <summary>The installation's reranker, if it has one, orders the passages.</summary>
    public bool Rerank { get; init; }
}

internal sealed record MemorySettings
{
    public bool Recall { get; init; } = true;

    /// <summary>Facts are taken from conversations and kept.</summary>
    public bool Learn { get; init; } = true;

    [Range(1, 50)]
    public int TopK { get; init; } = 8;
}

/// <summary>Where a turn ends at the latest.</summary>
internal sealed record AgentLimits
{
    /// <summary>Calls of the model.</summary>
    [Range(1, 50)]
    public int Steps { get; init; } = 8;

    [Range(0, 200)]
    public int ToolCalls { get; init; } = 16;

    /// <summary>Tokens of the whole answer.</summary>
    [Range(16, 1_000_000)]
    public int OutputTokens { get; init; } = 4_096;

    /// <summary>Tokens of the prompt; absent: what the model takes.</summary>
    [Range(500, 10_000_000)]
    public int? ContextTokens { get; init; }

    [Range(1, 86_400)]
    public int Seconds { get; init; } = 300;

    [JsonIgnore]
    public TimeSpan Time => TimeSpan.FromSeconds(Seconds);
}
