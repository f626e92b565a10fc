using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Runs;

/// <summary>The earlier run of a repeated request.</summary>
internal sealed record ReplayedRun(RunId RunId, ConversationId ConversationId, byte[] RequestHash, RunStatus Status);

/// <summary>A run of the conversation that has not ended, oldest first.</summary>
internal sealed record OpenRun(RunId RunId, MessageId AnswerId);

internal sealed record ExistingConversation(string Agent);

/// <summary>What is there already when a run is asked for.</summary>
internal sealed record ExistingState
{
    public ReplayedRun? Replay { get; init; }

    public ExistingConversation? Conversation { get; init; }

    public IReadOnlyList<OpenRun> OpenRuns { get; init; } = [];

    /// <summary>Ends at the wanted parent, or at the newest message.</summary>
    public IReadOnlyList<BranchMessage> Branch { get; init; } = [];
}

/// <summary>Everything that the transaction of a new run writes. Pure.</summary>
internal sealed record RunPlan
{
    public required RunContext Context { get; init; }

    public required MessageId? ParentId { get; init; }

    /// <summary>False when a message that is there already is answered once more.</summary>
    public required bool AddsMessage { get; init; }

    public required bool IsNewConversation { get; init; }

    public required bool IsQueued { get; init; }

    /// <summary>Runs that go first.</summary>
    public required int Ahead { get; init; }

    /// <exception cref="ProblemException">404: the parent is no message of the conversation.</exception>
    public static RunPlan Make(RunRequest request, ExistingState existing, ChosenAgent chosen, bool isQueued)
    {
        var branch = request.ParentMessageId == RunRequest.Root ? [] : existing.Branch;
        var parent = FindParent(request, existing, branch, isQueued);
        var head = branch.Count > 0 && branch[^1].Id == parent ? branch[^1] : null;
        var isRepeat = head is { Role: ChatRole.User } && request.ParentMessageId is not null && head.Content == request.Question
            && (request.SelectedText is null || request.SelectedText == head.SelectedText);
        var history = isRepeat ? branch.SkipLast(1) : branch;
        return new()
        {
            ParentId = parent,
            AddsMessage = !isRepeat && request.History is null,
            IsNewConversation = request.ConversationId is null,
            IsQueued = isQueued,
            Ahead = existing.OpenRuns.Count,
            Context = new()
            {
                RunId = RunId.New(),
                OwnerId = request.Owner,
                ConversationId = request.ConversationId ?? ConversationId.New(),
                MessageId = MessageId.New(),
                UserMessageId = isRepeat ? head!.Id : MessageId.New(),
                Agent = chosen.Agent,
                Model = chosen.Model,
                Question = request.Question,
                History = request.History is { } told ? [.. told.Select(turn => new PastTurn(turn.Role, turn.Content))] : [.. history.Select(message => message.ToTurn())],
                SelectedText = isRepeat ? head!.SelectedText : request.SelectedText,
                Context = request.Context,
                TopK = request.TopK,
                IsStreamed = request.IsStreamed,
                Asker = request.Asker,
                KeyId = request.KeyId,
                Author = request.Author,
                IsKept = request.History is null,
            },
        };
    }

    private static MessageId? FindParent(RunRequest request, ExistingState existing, IReadOnlyList<BranchMessage> branch, bool isQueued)
    {
        if (request.ParentMessageId == RunRequest.Root)
            return null;
        if (request.ParentMessageId is { } wanted)
        {
            return branch.Count > 0 || existing.OpenRuns.Any(open => open.AnswerId == wanted)
                ? wanted
                : throw new ProblemException(StatusCodes.Status404NotFound, "not_found", "There is no such message in this conversation.");
        }

        if (isQueued)
            return existing.OpenRuns[^1].AnswerId;
        return branch.Count > 0 ? branch[^1].Id : null;
    }
}
