using AgentFlow.Contracts.Runs;

namespace AgentFlow.Contracts.Chat;

public sealed record ConversationSummary
{
    public required ConversationId Id { get; init; }

    public required string Title { get; init; }

    /// <summary>Slug of the agent that goes on when none is named: the one that was named last.</summary>
    public required string Agent { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>The run that is going on, if any: attach to it by <c>GET /api/runs/{id}/events</c>.</summary>
    public RunId? ActiveRunId { get; init; }
}

/// <summary>One message as <c>GET /api/chat/{id}/history</c> lists it, oldest first.</summary>
public sealed record HistoryMessage
{
    public required MessageId Id { get; init; }

    public MessageId? ParentId { get; init; }

    public required ChatRole Role { get; init; }

    public required string Content { get; init; }

    /// <summary>What the person had selected and asked about; null without, and for answers.</summary>
    public string? SelectedText { get; init; }

    /// <summary>Who wrote it, in a room: the name at that time.</summary>
    public string? Author { get; init; }

    /// <summary>The author's account; null outside rooms, for answers, and once the account was erased.</summary>
    public OwnerId? AuthorId { get; init; }

    public RunId? RunId { get; init; }

    /// <summary>How the run that wrote it ended; <see cref="RunStatus.Completed"/> for user messages.</summary>
    public required RunStatus Status { get; init; }

    public required IReadOnlyList<Citation> Citations { get; init; }

    public required IReadOnlyList<ToolCallSummary> ToolCalls { get; init; }

    public RunUsage? Usage { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>Body of <c>PATCH /api/chat/{id}</c>.</summary>
/// <param name="Title">1 to 200 characters.</param>
public sealed record ConversationPatch(string Title);

/// <summary>One hit of <c>GET /api/chat/search</c>, newest first.</summary>
public sealed record ConversationHit
{
    public required ConversationId ConversationId { get; init; }

    public required string Title { get; init; }

    /// <summary>Null when the title matched.</summary>
    public MessageId? MessageId { get; init; }

    public ChatRole? Role { get; init; }

    /// <summary>What surrounds the match, at most 240 characters.</summary>
    public required string Snippet { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
}

/// <summary>A whole conversation, as <c>GET /api/chat/{id}/export</c> hands it out.</summary>
public sealed record ConversationExport
{
    public required ConversationSummary Conversation { get; init; }

    /// <summary>All branches, oldest first.</summary>
    public required IReadOnlyList<HistoryMessage> Messages { get; init; }
}
