using System.Text.Json.Serialization;

namespace AgentFlow.Contracts.Runs;

/// <summary>Where a claim of the answer comes from. The quote is cut by us from the stored text, never taken from the model.</summary>
public sealed record Citation
{
    /// <summary>The number in the answer's marker, 1-based.</summary>
    public required int Index { get; init; }

    /// <summary>Null for a passage that the caller sent as <c>selectedText</c>.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public DocumentId? DocumentId { get; init; }

    public ChunkId? ChunkId { get; init; }

    public string? DocumentName { get; init; }

    /// <summary>1-based, where the format has pages.</summary>
    public int? Page { get; init; }

    /// <summary>UTF-16 offset into the document's stored text (or the selected text), inclusive.</summary>
    public required int Start { get; init; }

    /// <summary>UTF-16 offset, exclusive.</summary>
    public required int End { get; init; }

    public required string Quote { get; init; }
}
