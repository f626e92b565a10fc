using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;

namespace AgentFlow.ApiService.Runs;

/// <summary>What a caller asks for, already validated; whatever transport it came by.</summary>
internal sealed record RunRequest
{
    /// <summary>The id that stands for the start of the conversation, where a sibling of the first message is meant.</summary>
    public static readonly MessageId Root = new(Guid.Empty);

    public required OwnerId Owner { get; init; }

    public required string Question { get; init; }

    /// <summary>Null: a new conversation.</summary>
    public ConversationId? ConversationId { get; init; }

    /// <summary>The turns that a stateless request brought along; null: the history of the conversation.</summary>
    public IReadOnlyList<ChatTurn>? History { get; init; }

    public string? Agent { get; init; }

    public string? Model { get; init; }

    public string? SelectedText { get; init; }

    public JsonElement? Context { get; init; }

    public int? TopK { get; init; }

    public WhileRunning WhileRunning { get; init; }

    /// <summary>Null: the newest message. A user message with this very text is answered once more instead of repeated.</summary>
    public MessageId? ParentMessageId { get; init; }

    /// <summary>Somebody watches the words arrive.</summary>
    public bool IsStreamed { get; init; } = true;

    /// <summary>Who asks, in a room.</summary>
    public string? Author { get; init; }

    public IdempotencyKey? Idempotency { get; init; }
}

/// <param name="Key">1 to 255 visible ASCII characters, the caller's.</param>
/// <param name="RequestHash">SHA-256 of what was asked: another request under the same key is refused.</param>
internal sealed record IdempotencyKey(string Key, byte[] RequestHash);

/// <summary>A run to attach to: one that was just started here, or the earlier one of a repeated request.</summary>
/// <param name="Local">Set where this process executes it.</param>
internal sealed record RunTicket(RunId RunId, ConversationId ConversationId, RunHandle? Local, bool IsReplay);
