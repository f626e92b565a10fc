using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Chat;

/// <summary>What a chat request may look like. Pure; refuses with 400 naming the field.</summary>
internal static class ChatValidation
{
    /// <summary>UTF-16 characters of a message, a question, or a selected text.</summary>
    public const int MaxTextLength = 50_000;

    /// <summary>UTF-8 bytes of <c>context</c> as sent.</summary>
    public const int MaxContextBytes = 32 * 1024;

    /// <summary>Turns of a stateless conversation.</summary>
    public const int MaxTurns = 500;

    public const int MaxTopK = 50;

    public const int MaxNameLength = 200;

    public static RunRequest Accept(ChatRequest body, OwnerId owner, string? idempotencyKey)
    {
        if ((body.Message is null) == (body.Messages is null))
            throw Invalid("message", "Send either message or messages.");
        if (body.Messages is not null && (body.ConversationId is not null || body.ParentMessageId is not null))
            throw Invalid("messages", "A request that brings its messages along has no conversationId and no parentMessageId.");
        if (body.ParentMessageId is not null && body.ConversationId is null)
            throw Invalid("parentMessageId", "A parent belongs to a conversation: send its conversationId.");
        if (body.ParentMessageId is not null && body.WhileRunning != WhileRunning.Reject)
            throw Invalid("parentMessageId", "A branch can not wait for another answer: leave parentMessageId out, or whileRunning.");
        var history = body.Messages is null ? null : History(body.Messages);
        CheckContext(body.Context);
        return new()
        {
            Owner = owner,
            Question = Text("message", body.Message ?? body.Messages![^1].Content),
            ConversationId = body.ConversationId,
            History = history,
            Agent = Name("agent", body.Agent),
            Model = Name("model", body.Model),
            SelectedText = body.SelectedText is null ? null : Text("selectedText", body.SelectedText),
            Context = body.Context,
            WhileRunning = body.WhileRunning,
            ParentMessageId = body.ParentMessageId,
            IsStreamed = body.Stream,
            Idempotency = Key(idempotencyKey, body),
        };
    }

    public static RunRequest Accept(QueryRequest body, OwnerId owner, string? idempotencyKey) => new()
    {
        Owner = owner,
        IsStreamed = false,
        Question = Text("question", body.Question),
        ConversationId = body.ConversationId,
        Agent = Name("agent", body.Agent),
        Model = Name("model", body.Model),
        SelectedText = body.SelectedText is null ? null : Text("selectedText", body.SelectedText),
        TopK = body.TopK is null or (>= 1 and <= MaxTopK) ? body.TopK : throw Invalid("topK", $"topK is {body.TopK}; send 1 to {MaxTopK}."),
        Idempotency = Key(idempotencyKey, body),
    };

    /// <summary>Not empty, not too long, and nothing that a database can not hold.</summary>
    public static string Text(string field, string text, int maxLength = MaxTextLength)
    {
        if (string.IsNullOrWhiteSpace(text))
            throw Invalid(field, $"{field} is empty.");
        if (text.Length > maxLength)
            throw Invalid(field, $"{field} has {text.Length} characters; at most {maxLength} are taken.");
        return text.Contains('\0', StringComparison.Ordinal) ? throw Invalid(field, $"{field} holds the character U+0000.") : text;
    }

    public static ProblemException Invalid(string field, string message) => new(StatusCodes.Status400BadRequest, "invalid_request", message)
    {
        Errors = new Dictionary<string, string[]>(StringComparer.Ordinal) { [field] = [message] },
    };

    private static string? Name(string field, string? name) => name is null ? null : Text(field, name, MaxNameLength);

    private static List<ChatTurn> History(IReadOnlyList<ChatTurn> turns)
    {
        if (turns.Count is 0 or > MaxTurns)
            throw Invalid("messages", $"messages has {turns.Count} entries; send 1 to {MaxTurns}.");
        if (turns[^1].Role != ChatRole.User)
            throw Invalid("messages", "The last of messages must be the user's.");
        foreach (var turn in turns)
            Text("messages", turn.Content);
        return [.. turns.SkipLast(1)];
    }

    public static void CheckContext(JsonElement? context)
    {
        if (context is not { } value)
            return;
        if (value.ValueKind != JsonValueKind.Object)
            throw Invalid("context", "context must be a JSON object.");
        if (Encoding.UTF8.GetByteCount(value.GetRawText()) > MaxContextBytes)
            throw Invalid("context", $"context is larger than {MaxContextBytes} bytes.");
    }

    /// <summary>The same key with another request is refused, so the request is remembered by its hash.</summary>
    private static IdempotencyKey? Key<TBody>(string? key, TBody body)
    {
        if (key is null)
            return null;
        if (key.Length is 0 or > 255 || key.AsSpan().ContainsAnyExceptInRange('!', '~'))
            throw Invalid("Idempotency-Key", "Idempotency-Key must have 1 to 255 visible ASCII characters.");
        return new(key, SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(body, ContractJson.Options)));
    }
}
