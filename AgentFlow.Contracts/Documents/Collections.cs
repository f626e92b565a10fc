using System.Text.Json;

namespace AgentFlow.Contracts.Documents;

/// <summary>What a member may do with somebody else's collection.</summary>
public enum CollectionAccess
{
    /// <summary>Find and read its documents.</summary>
    Read,

    /// <summary>Also add documents to it and take them out.</summary>
    Write,

    /// <summary>Also change it and its members.</summary>
    Manage,
}

/// <summary>A named set of documents.</summary>
public sealed record Collection
{
    public required CollectionId Id { get; init; }

    public required string Name { get; init; }

    public string? Description { get; init; }

    public required OwnerId OwnerId { get; init; }

    /// <summary>The caller's; null for the owner, who may do everything.</summary>
    public CollectionAccess? Access { get; init; }

    public required int Documents { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
}

/// <param name="Name">1 to 100 characters, once per owner.</param>
/// <param name="Description">Up to 1,000 characters.</param>
public sealed record CreateCollectionRequest(string Name, string? Description = null);

/// <summary>Names an account of this server by exactly one of its id and its e-mail address.</summary>
/// <param name="UserId">Its id.</param>
/// <param name="Access">What it may do.</param>
/// <param name="Email">Its e-mail address, in any case.</param>
public sealed record CollectionMemberRequest(OwnerId? UserId = null, CollectionAccess Access = CollectionAccess.Read, string? Email = null);

/// <param name="DisplayName">Null for an account that is gone.</param>
public sealed record CollectionMember(OwnerId UserId, CollectionAccess Access, DateTimeOffset AddedAt, string? DisplayName = null);

/// <summary>What is left out stays as it is.</summary>
public sealed record PatchDocumentRequest
{
    public string? Name { get; init; }

    public IReadOnlyList<string>? Tags { get; init; }

    /// <summary>A JSON object; replaces the one that is there.</summary>
    public JsonElement? Metadata { get; init; }
}

/// <param name="Url">An absolute http or https address.</param>
/// <param name="Collection">One to put the document into.</param>
public sealed record IngestUrlRequest(string Url, IReadOnlyList<string>? Tags = null, CollectionId? Collection = null);
