using System.Text.Json;
using System.Text.Json.Serialization;

namespace AgentFlow.Contracts.Runs;

/// <summary>
/// One entry of a run's log, as stored and as sent: <c>id: runId.seq</c>, <c>event: type</c>, <c>data:</c> this record as JSON.
/// <see cref="Seq"/> counts 1..n without a gap; exactly one terminal event ends the log. Clients ignore types they do not know.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(RunStarted), "run.started")]
[JsonDerivedType(typeof(RunQueued), "run.queued")]
[JsonDerivedType(typeof(ContextRecalled), "context.recalled")]
[JsonDerivedType(typeof(ContextAdded), "context.added")]
[JsonDerivedType(typeof(MessageDelta), "message.delta")]
[JsonDerivedType(typeof(CitationAdded), "citation")]
[JsonDerivedType(typeof(ToolCalled), "tool.called")]
[JsonDerivedType(typeof(ToolReturned), "tool.returned")]
[JsonDerivedType(typeof(ApprovalRequired), "approval.required")]
[JsonDerivedType(typeof(ApprovalResolved), "approval.resolved")]
[JsonDerivedType(typeof(HistoryCompacted), "history.compacted")]
[JsonDerivedType(typeof(FilterApplied), "filter.applied")]
[JsonDerivedType(typeof(MemoryStored), "memory.stored")]
[JsonDerivedType(typeof(UsageReported), "usage")]
[JsonDerivedType(typeof(RunCompleted), "run.completed")]
[JsonDerivedType(typeof(RunFailed), "run.failed")]
[JsonDerivedType(typeof(RunCancelled), "run.cancelled")]
[JsonDerivedType(typeof(RunInterrupted), "run.interrupted")]
public abstract record RunEvent
{
    public RunId RunId { get; init; }

    /// <summary>1-based position in the run's log; assigned by the log's writer.</summary>
    public long Seq { get; init; }

    /// <summary>When the log's writer committed it, UTC.</summary>
    public DateTimeOffset At { get; init; }

    /// <summary>True for the four types that end a log.</summary>
    [JsonIgnore]
    public virtual bool IsTerminal => false;
}

public sealed record RunStarted : RunEvent
{
    public required ConversationId ConversationId { get; init; }

    /// <summary>The id that the agent's answer will have in the history.</summary>
    public required MessageId MessageId { get; init; }

    /// <summary>Slug of the agent.</summary>
    public required string Agent { get; init; }

    public required string Model { get; init; }
}

/// <summary>The conversation is busy; this run starts when the one before it ends.</summary>
public sealed record RunQueued : RunEvent
{
    /// <summary>Runs that go first, at least 1.</summary>
    public int Ahead { get; init; }
}

/// <summary>What the prompt was given. Counts only: the content stays in the run's state.</summary>
public sealed record ContextRecalled : RunEvent
{
    public required IReadOnlyList<RecalledMemory> Memories { get; init; }

    public required IReadOnlyList<RecalledChunk> Chunks { get; init; }

    /// <summary>Milliseconds the recall took.</summary>
    public double Ms { get; init; }

    /// <summary>Sources that were late or down, such as <c>memory</c> or <c>documents</c>; null when all answered.</summary>
    public IReadOnlyList<string>? Degraded { get; init; }
}

/// <summary>What <c>context.add</c> handed in was given to the model.</summary>
public sealed record ContextAdded : RunEvent
{
    public required JsonElement Context { get; init; }
}

/// <param name="Scope">user, agent, session or app.</param>
public sealed record RecalledMemory(MemoryId Id, string Text, string Scope, double Score);

/// <param name="Start">UTF-16 offset into the document's stored text, inclusive.</param>
/// <param name="End">UTF-16 offset, exclusive.</param>
public sealed record RecalledChunk(DocumentId DocumentId, ChunkId ChunkId, string DocumentName, int Start, int End, string Text, double Score, int? Page = null);

public sealed record MessageDelta : RunEvent
{
    public required string Text { get; init; }
}

/// <summary>A passage that the answer's marker <c>[Index]</c> stands for; the members are <see cref="Citation"/>'s, flat.</summary>
public sealed record CitationAdded : RunEvent
{
    public required int Index { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
    public DocumentId? DocumentId { get; init; }

    public ChunkId? ChunkId { get; init; }

    public string? DocumentName { get; init; }

    public int? Page { get; init; }

    public required int Start { get; init; }

    public required int End { get; init; }

    public required string Quote { get; init; }

    public static CitationAdded From(Citation citation)
    {
        ArgumentNullException.ThrowIfNull(citation);
        return new()
        {
            Index = citation.Index,
            DocumentId = citation.DocumentId,
            ChunkId = citation.ChunkId,
            DocumentName = citation.DocumentName,
            Page = citation.Page,
            Start = citation.Start,
            End = citation.End,
            Quote = citation.Quote,
        };
    }

    public Citation ToCitation() => new()
    {
        Index = Index,
        DocumentId = DocumentId,
        ChunkId = ChunkId,
        DocumentName = DocumentName,
        Page = Page,
        Start = Start,
        End = End,
        Quote = Quote,
    };
}

public sealed record ToolCalled : RunEvent
{
    public required string CallId { get; init; }

    public required string Tool { get; init; }

    public required JsonElement Arguments { get; init; }
}

public sealed record ToolReturned : RunEvent
{
    public required string CallId { get; init; }

    public required double DurationMs { get; init; }

    public JsonElement? Result { get; init; }

    public ToolFailure? Error { get; init; }
}

/// <param name="Error">One sentence for the model and the reader.</param>
/// <param name="Code">NOT_FOUND, INVALID_ARGUMENTS, DENIED, TIMEOUT or INTERNAL_ERROR.</param>
/// <param name="Recoverable">Whether another try with other arguments can help.</param>
public sealed record ToolFailure(string Error, string Code, bool Recoverable);

public sealed record ApprovalRequired : RunEvent
{
    public required string CallId { get; init; }

    public required string Tool { get; init; }

    public required JsonElement Arguments { get; init; }

    public required DateTimeOffset ExpiresAt { get; init; }
}

public sealed record ApprovalResolved : RunEvent
{
    public required string CallId { get; init; }

    /// <summary>approve, deny or expired.</summary>
    public required string Decision { get; init; }

    /// <summary>The arguments that were approved, where they were edited.</summary>
    public JsonElement? Arguments { get; init; }
}

/// <summary>Older messages were replaced by a summary, or results of tools were shortened, so that the prompt fits.</summary>
public sealed record HistoryCompacted : RunEvent
{
    public required int Messages { get; init; }

    public required int TokensBefore { get; init; }

    public required int TokensAfter { get; init; }
}

public sealed record FilterApplied : RunEvent
{
    /// <summary>secret, image, link, system-prompt or citation; length or content-filter where the provider ended the answer before its end.</summary>
    public required string Kind { get; init; }
}

public sealed record MemoryStored : RunEvent
{
    public required int Count { get; init; }
}

public sealed record UsageReported : RunEvent
{
    public required long InputTokens { get; init; }

    public required long OutputTokens { get; init; }

    /// <summary>In the currency of the configured prices; null where no price is known.</summary>
    public decimal? Cost { get; init; }
}

public sealed record RunCompleted : RunEvent
{
    public required MessageId MessageId { get; init; }

    public required string Text { get; init; }

    public override bool IsTerminal => true;
}

public sealed record RunFailed : RunEvent
{
    public required string Code { get; init; }

    /// <summary>Safe to show: never an exception's message.</summary>
    public required string Detail { get; init; }

    public required string TraceId { get; init; }

    public override bool IsTerminal => true;
}

public sealed record RunCancelled : RunEvent
{
    /// <summary>What had been said until then.</summary>
    public required string Text { get; init; }

    public override bool IsTerminal => true;
}

public sealed record RunInterrupted : RunEvent
{
    /// <summary>What had been said until then.</summary>
    public required string Text { get; init; }

    public override bool IsTerminal => true;
}
