using System.Text.Json;
using System.Text.Json.Serialization;
using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Context;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;

namespace AgentFlow.ApiService.Runs;

/// <summary>Everything a run was asked to do, fixed when it starts. Holds no connection and no request.</summary>
internal sealed record RunContext
{
    public required RunId RunId { get; init; }

    public required OwnerId OwnerId { get; init; }

    public required ConversationId ConversationId { get; init; }

    /// <summary>The id that the answer will have in the history.</summary>
    public required MessageId MessageId { get; init; }

    public required MessageId UserMessageId { get; init; }

    public required AgentDefinition Agent { get; init; }

    /// <summary>One of the agent's models.</summary>
    public required string Model { get; init; }

    public required string Question { get; init; }

    /// <summary>The branch that the question ends, oldest first, without the question.</summary>
    public required IReadOnlyList<PastTurn> History { get; init; }

    /// <summary>Answer from this passage alone.</summary>
    public string? SelectedText { get; init; }

    /// <summary>A JSON object from the caller: quoted data, never instructions.</summary>
    public JsonElement? Context { get; init; }

    /// <summary>Passages to recall; null: the agent's setting.</summary>
    public int? TopK { get; init; }

    /// <summary>Somebody watches the words arrive; false for a request that takes one JSON, which the built-in model does not slow down for.</summary>
    public bool IsStreamed { get; init; } = true;

    /// <summary>The account that asked and pays; the owner itself outside rooms.</summary>
    public OwnerId? Asker { get; init; }

    /// <summary>The API key that asked; null for a signed-in person.</summary>
    public ApiKeyId? KeyId { get; init; }

    /// <summary>Who asked, in a room; null elsewhere.</summary>
    public string? Author { get; init; }

    /// <summary>Several people read the answer: the owner is the room, and nothing of a single person's is recalled or learnt.</summary>
    [JsonIgnore]
    public bool IsRoom => Author is not null;

    /// <summary>Set for a run that waited for a person when its process ended: the agent goes on from here.</summary>
    public JsonElement? Checkpoint { get; init; }

    /// <summary>Begun while the run was being written; null for a run that waited, or goes on in another process.</summary>
    [JsonIgnore]
    public Task<Recalled>? Recalling { get; init; }

    /// <summary>False for a request that brought its whole history along and whose messages are not stored.</summary>
    public bool IsKept { get; init; } = true;
}

/// <summary>An earlier message of the branch, as a model is told of it.</summary>
/// <param name="SelectedText">What a question was about: somebody else's words, quoted.</param>
/// <param name="ReadUntrusted">The answer was written with text of others in sight, and may repeat what that text asks for.</param>
internal sealed record PastTurn(ChatRole Role, string Content, string? SelectedText = null, bool ReadUntrusted = false);

/// <summary>
/// The work of one run: emits everything between <c>run.started</c> and the terminal event through the writer and returns when the
/// answer is complete. The token is cancelled when the run is cancelled, when the process drains or when the run was lost to another
/// process; the partial text is kept by the writer. Refusals are <see cref="RunFailedException"/>, an answer that broke off is
/// <see cref="RunInterruptedException"/>; every other exception becomes <c>run.failed</c> with code <c>internal</c> and one Error log.
/// </summary>
internal delegate Task AgentRun(RunContext run, RunWriter writer, CancellationToken ct);

/// <summary>Only reads, so it may begin before the run is committed, and be for nothing if it never is.</summary>
internal delegate Task<Recalled> BeginRecall(RunContext run, CancellationToken ct);

/// <summary>
/// Finds the agent (null: the owner's default) and checks the model (null: the agent's first). Refuses by throwing
/// <c>ProblemException</c>: 404 unknown agent, 400 a model that the agent does not list, 503 a model that is not configured.
/// </summary>
internal delegate ValueTask<ChosenAgent> ChooseAgent(OwnerId owner, string? slug, string? model, CancellationToken ct);

/// <param name="Basis">What the choice rests on; null where it can not be used again.</param>
internal sealed record ChosenAgent(AgentDefinition Agent, string Model, AgentBasis? Basis = null);

/// <summary>What an account's rows said when an agent was chosen: while they say the same, the choice is the same.</summary>
/// <param name="Slug">Of the agent that was looked for.</param>
/// <param name="Version">The newest of the account's own of that name, a deletion included; 0: there never was one.</param>
/// <param name="IsDefault">None was named, and this is the one that the account has chosen.</param>
internal sealed record AgentBasis(string Slug, int Version, bool IsDefault);
