using System.Text.Json;
using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Memories;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.MemoryService.Ingestion;

/// <summary>What an add must look like before anything is done with it.</summary>
internal static class AddRequestRules
{
    private const int MaxSubjectLength = 256;
    private const int MaxCategories = 50;
    private const int MaxCategoryLength = 100;
    private const int MaxSourceLength = 1_000;
    private const int MaxInstructionsLength = 4_000;

    /// <exception cref="ProblemException">400 naming the member, or 413.</exception>
    internal static void Check(AddMemoryRequest request, MemoryScope scope, MemoryOptions options, DateTimeOffset now)
    {
        if ((request.Text is null) == (request.Messages is null))
            throw Invalid("text", "Give either text or messages.");
        CheckScope(scope);
        if (SubjectFilter.Pairs(scope).Any(subject => subject.Value == "*"))
            throw Invalid("userId", "A subject can not be named *: in filters and deletions that means any.");
        if (request.Text is not null)
            CheckText("text", request.Text, options);
        CheckMessages(request.Messages, options);
        CheckMetadata(request.Metadata, options);
        CheckCategories(request.Categories);
        CheckPlain("source", request.Source, MaxSourceLength);
        CheckPlain("instructions", request.Instructions, MaxInstructionsLength);
        if (request.ExpiresAt <= now)
            throw Invalid("expiresAt", "The memory would have expired already.");
        CheckObserved(request.ObservedAt, now);
        if (request is { Async: true, DryRun: true })
            throw Invalid("dryRun", "A dry run answers at once; leave async out.");
    }

    internal static void CheckObserved(DateTimeOffset? observedAt, DateTimeOffset now)
    {
        if (observedAt > now.AddDays(1))
            throw Invalid("observedAt", "An event of the future can not have been observed.");
    }

    internal static void CheckScope(MemoryScope scope)
    {
        if (SubjectFilter.IsEmpty(scope))
            throw new ProblemException(StatusCodes.Status400BadRequest, "no_scope", "Give at least one of userId, agentId, sessionId and appId.");
        CheckPlain("userId", scope.UserId, MaxSubjectLength, mayBeEmpty: false);
        CheckPlain("agentId", scope.AgentId, MaxSubjectLength, mayBeEmpty: false);
        CheckPlain("sessionId", scope.SessionId, MaxSubjectLength, mayBeEmpty: false);
        CheckPlain("appId", scope.AppId, MaxSubjectLength, mayBeEmpty: false);
    }

    internal static void CheckText(string member, string text, MemoryOptions options)
    {
        if (text.Length > options.MaxTextLength)
        {
            throw new ProblemException(
                StatusCodes.Status413PayloadTooLarge, "text_too_long", $"{member} has {text.Length} characters; {options.MaxTextLength} are allowed (Memory:MaxTextLength).");
        }

        if (string.IsNullOrWhiteSpace(text))
            throw Invalid(member, $"{member} is empty.");
        CheckCharacters(member, text);
    }

    internal static void CheckMetadata(JsonElement? metadata, MemoryOptions options)
    {
        if (metadata is not { } value || value.ValueKind == JsonValueKind.Null)
            return;
        if (value.ValueKind != JsonValueKind.Object)
            throw Invalid("metadata", "metadata is a JSON object.");
        var text = value.GetRawText();
        if (text.Length > options.MaxMetadataLength)
        {
            throw new ProblemException(
                StatusCodes.Status413PayloadTooLarge, "metadata_too_long", $"metadata has {text.Length} characters; {options.MaxMetadataLength} are allowed (Memory:MaxMetadataLength).");
        }

        if (text.Contains("\\u0000", StringComparison.OrdinalIgnoreCase))
            throw Invalid("metadata", "metadata holds U+0000.");
        if (JsonBounds.Refusal(value) is { } refusal)
            throw Invalid("metadata", $"metadata {refusal}.");
    }

    internal static void CheckCategories(IReadOnlyList<string>? categories)
    {
        if (categories is null)
            return;
        if (categories.Count > MaxCategories)
            throw Invalid("categories", $"At most {MaxCategories} categories are allowed.");
        foreach (var category in categories)
            CheckPlain("categories", category ?? throw Invalid("categories", "A category is text, not null."), MaxCategoryLength, mayBeEmpty: false);
    }

    private static void CheckMessages(IReadOnlyList<MemoryMessage>? messages, MemoryOptions options)
    {
        if (messages is null)
            return;
        if (messages.Count == 0)
            throw Invalid("messages", "messages is empty.");
        if (messages.Count > options.MaxMessages)
        {
            throw new ProblemException(
                StatusCodes.Status413PayloadTooLarge, "too_many_messages", $"{messages.Count} messages were sent; {options.MaxMessages} are allowed (Memory:MaxMessages).");
        }

        for (var i = 0; i < messages.Count; i++)
        {
            if (messages[i] is null)
                throw Invalid($"messages[{i}]", "A message is an object, not null.");
            CheckText($"messages[{i}].content", messages[i].Content, options);
            CheckPlain($"messages[{i}].role", messages[i].Role, 50, mayBeEmpty: false);
            CheckPlain($"messages[{i}].name", messages[i].Name, MaxSubjectLength);
        }
    }

    private static void CheckPlain(string member, string? value, int maxLength, bool mayBeEmpty = true)
    {
        if (value is null)
            return;
        if (value.Length > maxLength || (!mayBeEmpty && string.IsNullOrWhiteSpace(value)))
            throw Invalid(member, $"{member} has {(mayBeEmpty ? 0 : 1)} to {maxLength} characters.");
        CheckCharacters(member, value);
    }

    // PostgreSQL's text can hold neither.
    private static void CheckCharacters(string member, string text)
    {
        if (text.Contains('\0', StringComparison.Ordinal))
            throw Invalid(member, $"{member} holds U+0000.");
        for (var i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
                continue;
            if (!char.IsHighSurrogate(text[i]) || i + 1 == text.Length || !char.IsLowSurrogate(text[i + 1]))
                throw Invalid(member, $"{member} holds half of a surrogate pair.");
            i++;
        }
    }

    internal static ProblemException Invalid(string member, string message) => new(StatusCodes.Status400BadRequest, "invalid_request", message)
    {
        Errors = new Dictionary<string, string[]>(StringComparer.Ordinal) { [member] = [message] },
    };
}
