using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Tasks;

/// <summary>What <c>POST /api/tasks</c> can be asked for, and what each kind's input must be.</summary>
internal static class TaskKinds
{
    /// <summary>A document once more: <see cref="IngestAgain"/>.</summary>
    public const string Ingest = "ingest";

    /// <summary>One turn of an agent: <see cref="BackgroundRun"/>.</summary>
    public const string Run = "run";

    /// <summary>Many questions, one answer each: <see cref="QuestionBatch"/>.</summary>
    public const string Questions = "questions";

    /// <summary>All of the caller's memories, with versions and history, as the task's file: <see cref="TaskFile"/>.</summary>
    public const string MemoryExport = "memory-export";

    /// <summary>What an export gave, or texts: <see cref="PlainMemories"/>. What is larger than a request goes to <c>POST /api/memories/import</c>.</summary>
    public const string MemoryImport = "memory-import";

    /// <summary>The passages of all documents with the embedder that is configured now.</summary>
    public const string Reembed = "reembed";

    /// <summary>Everything of the kinds that are named: <see cref="EraseRequest"/>.</summary>
    public const string Erase = "erase";

    private const int MaxMessage = 50_000;
    private const int MaxQuestions = 200;
    private const int MaxImported = 10_000;

    public static readonly IReadOnlyList<string> All = [Ingest, Run, Questions, MemoryExport, MemoryImport, Reembed, Erase];

    /// <exception cref="ProblemException">400: an unknown kind, or an input that its kind does not take.</exception>
    public static void Validate(string kind, JsonElement input)
    {
        switch (kind)
        {
            case Ingest:
                Read<IngestAgain>(input);
                break;
            case Run:
                CheckText(Read<BackgroundRun>(input).Message, "message");
                break;
            case Questions:
                var batch = Read<QuestionBatch>(input);
                if (batch.Questions.Count is 0 or > MaxQuestions)
                    throw Invalid("questions", $"questions holds 1 to {MaxQuestions} texts.");
                foreach (var question in batch.Questions)
                    CheckText(question, "questions");
                break;
            case MemoryImport when IsExport(input):
                break;
            case MemoryImport:
                var import = Read<PlainMemories>(input);
                if (import.Items.Count is 0 or > MaxImported || import.Items.Any(item => string.IsNullOrWhiteSpace(item?.Text)))
                    throw Invalid("items", $"items holds 1 to {MaxImported:N0} memories with a text each.");
                break;
            case Erase:
                var erase = Read<EraseRequest>(input);
                if (erase.What.Count == 0 || erase.What.Any(what => what is not (EraseRequest.Documents or EraseRequest.Memories)))
                    throw Invalid("what", $"what names {EraseRequest.Documents}, {EraseRequest.Memories} or both.");
                break;
            case MemoryExport or Reembed:
                if (input.ValueKind != JsonValueKind.Object || input.EnumerateObject().Any())
                    throw Invalid("input", $"{kind} takes an empty object.");
                break;
            default:
                throw Invalid("kind", $"kind is one of {string.Join(", ", All)}.");
        }
    }

    /// <summary>The input of a kind that costs tokens, with the key that its usage is counted for; any other as it is.</summary>
    public static JsonElement ForKey(string kind, JsonElement input, ApiKeyId? key) => kind switch
    {
        Run when key is not null => Write(Read<WaitingRun>(input) with { KeyId = key }),
        Questions when key is not null => Write(Read<WaitingQuestions>(input) with { KeyId = key }),
        _ => input,
    };

    private static JsonElement Write<T>(T input) => JsonSerializer.SerializeToElement(input, ContractJson.Options);

    /// <summary>Texts without a past, and no export, which the memory service checks as a whole.</summary>
    public static bool IsPlain(JsonElement input) => !IsExport(input);

    private static bool IsExport(JsonElement input) => input.ValueKind == JsonValueKind.Object && input.TryGetProperty("format", out _);

    /// <exception cref="ProblemException">400: not what the kind takes.</exception>
    public static T Read<T>(JsonElement input)
    {
        try
        {
            return input.Deserialize<T>(ContractJson.Options) ?? throw Invalid("input", "input is an object.");
        }
        catch (JsonException error)
        {
            var place = $"input{error.Path?.TrimStart('$')}";
            throw Invalid(place, $"{place} {Wrong(error.Message)}.");
        }
    }

    /// <param name="message">Such as <c>JSON deserialization for type 'X' was missing required properties including: 'message'.</c></param>
    private static string Wrong(string message)
    {
        if (message.Contains("could not be mapped", StringComparison.Ordinal))
            return "is not a member that this kind of task knows";
        var start = message.Contains("missing required", StringComparison.Ordinal) ? message.IndexOf("including:", StringComparison.Ordinal) : -1;
        return start < 0 ? "is not what this kind of task takes" : $"lacks what it needs: {string.Join(", ", message[start..].Split('\'').Where((_, part) => part % 2 == 1))}";
    }

    private static void CheckText(string text, string field)
    {
        if (string.IsNullOrWhiteSpace(text) || text.Length > MaxMessage)
            throw Invalid(field, $"{field}: 1 to {MaxMessage:N0} characters.");
    }

    private static ProblemException Invalid(string field, string message) => new(StatusCodes.Status400BadRequest, "invalid_request", message)
    {
        Errors = new Dictionary<string, string[]>(StringComparer.Ordinal) { [field] = [message] },
    };
}

internal sealed record IngestAgain(DocumentId DocumentId);

internal sealed record BackgroundRun(string Message, string? Agent = null, string? Model = null, ConversationId? ConversationId = null);

internal sealed record QuestionBatch(IReadOnlyList<string> Questions, string? Agent = null, string? Model = null);

/// <summary>A <see cref="BackgroundRun"/> as it waits: with the API key that asked, which no client can name.</summary>
internal sealed record WaitingRun(string Message, string? Agent = null, string? Model = null, ConversationId? ConversationId = null, ApiKeyId? KeyId = null);

/// <summary>A <see cref="QuestionBatch"/> as it waits.</summary>
internal sealed record WaitingQuestions(IReadOnlyList<string> Questions, string? Agent = null, string? Model = null, ApiKeyId? KeyId = null);

/// <summary>One answer of a batch, in the questions' order; either the answer or the problem.</summary>
internal sealed record AnsweredQuestion(string Question, RunId? RunId = null, ConversationId? ConversationId = null, string? Answer = null, string? Error = null);

internal sealed record PlainMemory(string Text, DateTimeOffset? ObservedAt = null, JsonElement? Metadata = null);

internal sealed record PlainMemories(IReadOnlyList<PlainMemory> Items);

/// <param name="Format">What it holds.</param>
/// <param name="Bytes">How large it is.</param>
/// <param name="File">Where it is fetched, as long as the task is kept.</param>
internal sealed record TaskFile(string Format, long Bytes, string File);

internal sealed record EraseRequest(IReadOnlyList<string> What)
{
    public const string Documents = "documents";
    public const string Memories = "memories";
}
