using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.ServiceDefaults.Postgres;

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

    /// <summary>The account that asks and pays, where it is another than the owner: in a room, whose rows are its own.</summary>
    public OwnerId? Asker { get; init; }

    /// <summary>The API key that was used, for what it has used up.</summary>
    public ApiKeyId? KeyId { get; init; }

    /// <summary>In a room, the name of who asks, as the agent and the others see it.</summary>
    public string? Author { get; init; }

    /// <summary>Whose agents may answer; null: the owner's.</summary>
    public OwnerId? AgentOwner { get; init; }

    /// <summary>Adds statements to the transaction that starts the run, after its own.</summary>
    public Action<DbBatch, RunPlan>? Announce { get; init; }

    public IdempotencyKey? Idempotency { get; init; }
}

/// <param name="Key">1 to 255 visible ASCII characters, the caller's.</param>
/// <param name="RequestHash">SHA-256 of what was asked: another request under the same key is refused.</param>
internal sealed record IdempotencyKey(string Key, byte[] RequestHash);

/// <summary>A run to attach to: one that was just started here, or the earlier one of a repeated request.</summary>
/// <param name="Local">Set where this process executes it.</param>
internal sealed record RunTicket(RunId RunId, ConversationId ConversationId, RunHandle? Local, bool IsReplay);
