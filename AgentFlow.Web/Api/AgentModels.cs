using AgentFlow.Contracts;

namespace AgentFlow.Web.Api;

/// <summary>An agent as the API reads and writes it; changed in place by the form that edits it.</summary>
public sealed class AgentForm
{
    public string Slug { get; set; } = "";

    public string? Name { get; set; }

    public string? Description { get; set; }

    public string? Instructions { get; set; }

    public List<string> Models { get; set; } = ["*"];

    public List<AgentTool> Tools { get; set; } = [];

    public AgentRetrieval Retrieval { get; set; } = new();

    public AgentMemory Memory { get; set; } = new();

    public AgentLimit Limits { get; set; } = new();

    public double? Temperature { get; set; }

    public int Version { get; set; }

    /// <summary>installation or own; told by the API.</summary>
    public string? Source { get; set; }

    public DateTimeOffset? CreatedAt { get; set; }

    public bool IsOwn => Source is "own";

    public string Title => string.IsNullOrWhiteSpace(Name) ? Slug : Name;

    /// <summary>What is sent: without what only the API sets.</summary>
    /// <param name="version">The version that this changes; 0 for a new agent.</param>
    public object Body(int version) => new
    {
        Slug = Slug.Trim(),
        Name = Blank(Name),
        Description = Blank(Description),
        Instructions,
        Models,
        Tools,
        Retrieval,
        Memory,
        Limits,
        Temperature,
        Version = version,
    };

    private static string? Blank(string? text) => string.IsNullOrWhiteSpace(text) ? null : text.Trim();
}

/// <param name="Policy">allow, ask or deny.</param>
public sealed record AgentTool(string Name, string Policy = "allow");

public sealed class AgentRetrieval
{
    public bool Enabled { get; set; } = true;

    public int TopK { get; set; } = 6;

    /// <summary>What the agent is limited to; empty: everything that its user may read.</summary>
    public List<CollectionId> Collections { get; set; } = [];

    public bool Rerank { get; set; }
}

public sealed class AgentMemory
{
    public bool Recall { get; set; } = true;

    public bool Learn { get; set; } = true;

    public int TopK { get; set; } = 8;
}

public sealed class AgentLimit
{
    public int Steps { get; set; } = 8;

    public int ToolCalls { get; set; } = 16;

    public int OutputTokens { get; set; } = 4_096;

    public int? ContextTokens { get; set; }

    public int Seconds { get; set; } = 300;
}

/// <summary>A line of <c>GET /api/tools</c>.</summary>
public sealed record ToolInfo(string Name, bool HasSideEffects, string Type, string? Description = null);
