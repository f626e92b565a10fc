using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.ApiService.Context;

/// <summary>A piece of source text that the prompt numbers and the answer may cite.</summary>
/// <param name="Number">1-based, as in the prompt's <c>[n]</c>.</param>
/// <param name="Start">UTF-16 offset of <paramref name="Text"/> in the document's stored text, or in the selected text.</param>
/// <param name="DocumentId">Null for the selected text.</param>
internal sealed record Passage(int Number, DocumentId? DocumentId, ChunkId? ChunkId, string? DocumentName, int? Page, int Start, string Text, double Score)
{
    /// <summary>The whole of what the caller selected; its offsets are the selected text's own.</summary>
    public static Passage OfSelection(string text) => new(1, null, null, null, null, 0, text, 1);

    public static Passage Of(int number, RecalledChunk chunk) =>
        new(number, chunk.DocumentId, chunk.ChunkId, chunk.DocumentName, chunk.Page, chunk.Start, chunk.Text, chunk.Score);
}

/// <summary>
/// What a turn may answer from. The prompt says it in words; the built-in model, which reads no prompt, finds it under <see cref="Key"/>
/// in the options' additional properties.
/// </summary>
internal sealed record AnswerSources
{
    public const string Key = "agentflow.sources";

    public required string Question { get; init; }

    public required IReadOnlyList<Passage> Passages { get; init; }

    public required IReadOnlyList<RecalledMemory> Memories { get; init; }

    /// <summary>What the user has just said and has been stored.</summary>
    public IReadOnlyList<string> Noted { get; init; } = [];

    /// <summary>Sources that were late or down: <c>memory</c>, <c>documents</c>.</summary>
    public IReadOnlyList<string> Degraded { get; init; } = [];

    public bool IsSelectedText { get; init; }

    /// <summary>Somebody watches the words arrive.</summary>
    public bool IsStreamed { get; init; } = true;
}
