using System.Text.Json;

namespace AgentFlow.Contracts.Documents;

public enum DocumentStatus
{
    Received,
    Extracting,
    Chunking,
    Embedding,
    Indexing,
    Ready,
    Failed,
}

public sealed record DocumentSummary
{
    public required DocumentId Id { get; init; }

    public required string Name { get; init; }

    public required string MediaType { get; init; }

    /// <summary>Bytes of the original.</summary>
    public required long Size { get; init; }

    public required DocumentStatus Status { get; init; }

    /// <summary>For people; only with <see cref="DocumentStatus.Failed"/>.</summary>
    public string? FailureReason { get; init; }

    public string? Title { get; init; }

    public int? Pages { get; init; }

    /// <summary>Chunks of the searchable version.</summary>
    public required int Chunks { get; init; }

    /// <summary>Chunks that the version in work has so far; null once the document is ready or failed.</summary>
    public int? ChunksSoFar { get; init; }

    /// <summary>0 to 1 within the current status.</summary>
    public required double Progress { get; init; }

    public required IReadOnlyList<string> Tags { get; init; }

    public TaskId? TaskId { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>The member of a shared collection who uploaded it; null where its owner did.</summary>
    public DocumentUploader? UploadedBy { get; init; }
}

/// <param name="DisplayName">Null for an account that is gone.</param>
public sealed record DocumentUploader(OwnerId UserId, string? DisplayName = null);

/// <summary>One file of an upload: either accepted or refused with its problem's text.</summary>
public sealed record UploadedDocument
{
    public DocumentId? Id { get; init; }

    public required string Name { get; init; }

    public DocumentStatus? Status { get; init; }

    public TaskId? TaskId { get; init; }

    public string? Error { get; init; }

    /// <summary>True when the owner already has this very content; <see cref="Id"/> is then the document that was there.</summary>
    public bool? Duplicate { get; init; }
}

/// <summary>A range of a document's stored text, the text that every offset of a citation or chunk counts in.</summary>
public sealed record DocumentText
{
    /// <summary>UTF-16 offset of the first unit of <see cref="Text"/>.</summary>
    public required int Start { get; init; }

    /// <summary>UTF-16 offset, exclusive.</summary>
    public required int End { get; init; }

    /// <summary>UTF-16 units of the whole stored text.</summary>
    public required int Length { get; init; }

    public required string Text { get; init; }
}

public sealed record UploadResponse(IReadOnlyList<UploadedDocument> Items);

public sealed record DocumentChunk
{
    public required ChunkId Id { get; init; }

    public required int Ordinal { get; init; }

    public required IReadOnlyList<string> HeadingPath { get; init; }

    public int? Page { get; init; }

    /// <summary>UTF-16 offset into the document's stored text, inclusive.</summary>
    public required int Start { get; init; }

    /// <summary>UTF-16 offset, exclusive.</summary>
    public required int End { get; init; }

    public required string Text { get; init; }
}

public sealed record DocumentSearchRequest
{
    /// <summary>1 to 50,000 characters.</summary>
    public required string Query { get; init; }

    /// <summary>1 to 100.</summary>
    public int TopK { get; init; } = 10;

    /// <summary>The filter grammar of the retrieval library, over document, tag, type, date and metadata.</summary>
    public JsonElement? Filter { get; init; }

    public bool Explain { get; init; }

    /// <summary>Let the installation's reranker, if it has one, order the best passages.</summary>
    public bool Rerank { get; init; }
}

public sealed record DocumentHit
{
    public required DocumentId DocumentId { get; init; }

    public required ChunkId ChunkId { get; init; }

    public required string DocumentName { get; init; }

    /// <summary>The headings that the passage stands under, outermost first.</summary>
    public IReadOnlyList<string> HeadingPath { get; init; } = [];

    public int? Page { get; init; }

    public required int Start { get; init; }

    public required int End { get; init; }

    public required string Text { get; init; }

    public required double Score { get; init; }

    /// <summary>Parts of the score, with <c>explain</c>.</summary>
    public IReadOnlyDictionary<string, double>? Scores { get; init; }
}

public sealed record DocumentSearchResponse(IReadOnlyList<DocumentHit> Items, IReadOnlyList<string>? Degraded = null);
