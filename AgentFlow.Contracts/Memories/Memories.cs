using System.Text.Json;
using System.Text.Json.Serialization;
using AgentFlow.Contracts.Chat;

namespace AgentFlow.Contracts.Memories;

public enum MemoryKind
{
    Fact,
    Message,
    Procedure,
}

/// <summary>What a memory was taken from; a consolidation never raises it.</summary>
public enum MemoryTrust
{
    /// <summary>The user said it or typed it in.</summary>
    User,

    /// <summary>A model or a rule concluded it from what the user said.</summary>
    Inferred,

    /// <summary>It comes from a document, a tool or the web.</summary>
    External,
}

/// <summary>The subjects that a memory is about or a search asks for; free text inside an owner, at least one is given.</summary>
public sealed record MemoryScope
{
    public string? UserId { get; init; }

    public string? AgentId { get; init; }

    /// <summary>Mem0 calls it <c>run_id</c>.</summary>
    public string? SessionId { get; init; }

    public string? AppId { get; init; }
}

public sealed record MemoryMessage(string Role, string Content, string? Name = null);

/// <summary>Body of <c>POST /api/memories</c>: one of <see cref="Text"/> and <see cref="Messages"/>.</summary>
public sealed record AddMemoryRequest
{
    public string? Text { get; init; }

    public IReadOnlyList<MemoryMessage>? Messages { get; init; }

    public string? UserId { get; init; }

    public string? AgentId { get; init; }

    public string? SessionId { get; init; }

    public string? AppId { get; init; }

    /// <summary>True: facts are extracted; false: what was sent is stored as it is.</summary>
    public bool Infer { get; init; } = true;

    public JsonElement? Metadata { get; init; }

    public IReadOnlyList<string>? Categories { get; init; }

    public MemoryKind Kind { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>When it happened or was said, apart from when it was recorded.</summary>
    public DateTimeOffset? ObservedAt { get; init; }

    public bool Immutable { get; init; }

    /// <summary>Where it comes from, such as a message's id; free text.</summary>
    public string? Source { get; init; }

    public MemoryTrust? Trust { get; init; }

    /// <summary>What an extraction by a model should heed besides its own rules; up to 4,000 characters. Rules do not read it.</summary>
    public string? Instructions { get; init; }

    /// <summary>Answer 202 with an event to poll.</summary>
    public bool Async { get; init; }

    /// <summary>Say what would be stored, store nothing.</summary>
    public bool DryRun { get; init; }
}

[JsonConverter(typeof(JsonStringEnumConverter<MemoryChange>))]
public enum MemoryChange
{
    [JsonStringEnumMemberName("added")] Added,
    [JsonStringEnumMemberName("superseded")] Superseded,
    [JsonStringEnumMemberName("duplicate")] Duplicate,
    [JsonStringEnumMemberName("updated")] Updated,
    [JsonStringEnumMemberName("deleted")] Deleted,
    [JsonStringEnumMemberName("pending")] Pending,
}

/// <param name="Supersedes">The memory that was closed in favour of this one.</param>
public sealed record MemoryAddition(MemoryId Id, string Text, MemoryChange Event, MemoryId? Supersedes = null);

/// <param name="Extraction">verbatim, model or rules: how the items came about.</param>
public sealed record AddMemoryResponse(IReadOnlyList<MemoryAddition> Items, string Extraction, long? InputTokens = null, long? OutputTokens = null)
{
    /// <summary>What did not work but did not stop the write, such as an embedder that was down; null when all is well.</summary>
    public IReadOnlyList<string>? Degraded { get; init; }

    /// <summary>True when nothing was stored because a dry run was asked for.</summary>
    public bool? DryRun { get; init; }
}

/// <summary>Answer of an asynchronous add; poll <c>GET /api/events/{eventId}</c>.</summary>
public sealed record PendingAddition(Guid EventId, string Status);

/// <summary>Answer of <c>DELETE /api/memories?...</c>.</summary>
public sealed record DeletedMemories(int Deleted);

public sealed record MemoryItem
{
    public required MemoryId Id { get; init; }

    public required string Text { get; init; }

    public required MemoryKind Kind { get; init; }

    public string? UserId { get; init; }

    public string? AgentId { get; init; }

    public string? SessionId { get; init; }

    public string? AppId { get; init; }

    public JsonElement? Metadata { get; init; }

    public required IReadOnlyList<string> Categories { get; init; }

    public required MemoryTrust Trust { get; init; }

    public string? Source { get; init; }

    /// <summary>Who said it: user, assistant or another role; only of messages.</summary>
    public string? Role { get; init; }

    /// <summary>The speaker's name, where the message had one.</summary>
    public string? Actor { get; init; }

    public bool Immutable { get; init; }

    /// <summary>True while it waits for review; absent otherwise.</summary>
    public bool? Pending { get; init; }

    public required int Version { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; init; }

    public DateTimeOffset? ObservedAt { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    public DateTimeOffset? ValidFrom { get; init; }

    public DateTimeOffset? ValidTo { get; init; }

    public MemoryId? SupersededBy { get; init; }

    /// <summary>0 to 1; only in search results.</summary>
    public double? Score { get; init; }

    /// <summary>Parts of the score, with <c>explain</c>.</summary>
    public IReadOnlyDictionary<string, double>? Scores { get; init; }
}

public sealed record SearchMemoriesRequest
{
    public required string Query { get; init; }

    /// <summary>The filter grammar; must bind at least one subject.</summary>
    public required JsonElement Filter { get; init; }

    /// <summary>1 to 1,000.</summary>
    public int TopK { get; init; } = 10;

    /// <summary>
    /// 0 to 1, default 0: what scores below it is left out, after fusion, decay and reranking, and before <see cref="TopK"/> is taken. The best result's
    /// score is the strength of the query's evidence on an absolute scale, the others follow by their share of it; a match by words alone passes like
    /// one by meaning.
    /// </summary>
    public double? Threshold { get; init; }

    /// <summary>What was true then, closed since or not.</summary>
    public DateTimeOffset? AsOf { get; init; }

    /// <summary>What was recorded and believed then, in the words it had; costs what loading all of the owner's memories costs. Not with <see cref="ExplainId"/>.</summary>
    public DateTimeOffset? KnownAt { get; init; }

    public bool Explain { get; init; }

    /// <summary>With <see cref="Explain"/>: say why this one was not returned.</summary>
    public MemoryId? ExplainId { get; init; }

    public bool Rerank { get; init; }
}

public sealed record SearchMemoriesResponse
{
    public required IReadOnlyList<MemoryItem> Items { get; init; }

    /// <summary>What was not asked because it was down or late; null when everything answered.</summary>
    public IReadOnlyList<string>? Degraded { get; init; }

    /// <summary>Why <c>explainId</c> is not among the items.</summary>
    public string? Explanation { get; init; }
}

public sealed record MemoryHistoryEntry
{
    public required MemoryId MemoryId { get; init; }

    public required int Version { get; init; }

    public required MemoryChange Event { get; init; }

    public string? OldText { get; init; }

    public string? NewText { get; init; }

    public required DateTimeOffset At { get; init; }
}

/// <summary>Body of <c>PATCH /api/memories/{id}</c>; absent members stay.</summary>
public sealed record MemoryPatch
{
    public string? Text { get; init; }

    public JsonElement? Metadata { get; init; }

    public IReadOnlyList<string>? Categories { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>True takes the expiry away.</summary>
    public bool ClearExpiresAt { get; init; }

    /// <summary>When it really happened or was said; what the memory states is true from then on.</summary>
    public DateTimeOffset? ObservedAt { get; init; }
}

/// <summary>Body of <c>POST /api/context</c>.</summary>
public sealed record ContextRequest
{
    public required string Query { get; init; }

    public required JsonElement Filter { get; init; }

    /// <summary>16 to 100,000 estimated tokens.</summary>
    public int TokenBudget { get; init; } = 1_000;
}

public sealed record ContextBlock(string Text, IReadOnlyList<MemoryId> Ids, int EstimatedTokens)
{
    /// <summary>As in a search.</summary>
    public IReadOnlyList<string>? Degraded { get; init; }
}
