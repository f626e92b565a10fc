using System.Collections.Immutable;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.Web.State;

/// <summary>
/// A conversation as the page knows it: the tree of its messages, the branch that is shown, and the run that is going on. Immutable; every
/// change is a pure function, so a stream can be replayed from any point. Applying an event twice changes nothing.
/// </summary>
internal sealed record ConversationState
{
    public static ConversationState Empty { get; } = new();

    public ConversationId? Id { get; init; }

    /// <summary>Slug of the agent that the conversation was begun with, or that answered last on this page; null while that is not known.</summary>
    public string? Agent { get; init; }

    /// <summary>All messages of all branches, in the order they were made.</summary>
    public ImmutableList<MessageView> Messages { get; init; } = [];

    /// <summary>Which child is shown where a message has several; absent: the newest. The first message's parent is the empty id.</summary>
    public ImmutableDictionary<MessageId, MessageId> Chosen { get; init; } = ImmutableDictionary<MessageId, MessageId>.Empty;

    public RunId? ActiveRun { get; init; }

    /// <summary>The answer that the active run writes; null until the run has started.</summary>
    public MessageId? ActiveMessage { get; init; }

    /// <summary>The question that the next answer belongs to; null: the last message shown.</summary>
    public MessageId? AnswersTo { get; init; }

    /// <summary>The id that this page gave a question before the API had taken it; the history knows it by another.</summary>
    public MessageId? Local { get; init; }

    /// <summary>Runs that go before the active one; 0 when it runs.</summary>
    public int Ahead { get; init; }

    /// <summary>Sequence number of the newest event that was applied of the active run.</summary>
    public long LastSeq { get; init; }

    /// <summary>The answer that is being written; null while there is none.</summary>
    public MessageView? Active => ActiveMessage is { } id ? Messages.FindLast(message => message.Id == id) : null;

    public static ConversationState FromHistory(ConversationId id, IEnumerable<HistoryMessage> history, string? agent = null) =>
        Empty with { Id = id, Agent = agent, Messages = [.. history.Select(MessageView.From)] };

    /// <summary>The messages from the first to the newest along the chosen branch.</summary>
    public ImmutableList<MessageView> Branch()
    {
        var children = Messages.ToLookup(message => message.ParentId ?? default);
        var branch = ImmutableList.CreateBuilder<MessageView>();
        var at = default(MessageId);
        while (branch.Count < Messages.Count && Shown(children[at], at) is { } next)
        {
            branch.Add(next);
            at = next.Id;
        }

        return branch.ToImmutable();
    }

    /// <summary>The messages that stand in the same place as this one, oldest first; itself among them.</summary>
    public ImmutableList<MessageView> Siblings(MessageView message) => [.. Messages.Where(other => other.ParentId == message.ParentId)];

    public ConversationState Choose(MessageView message) =>
        this with { Chosen = Chosen.SetItem(message.ParentId ?? default, message.Id) };

    /// <summary>Shows what was asked before the API has confirmed it; the history replaces it when the run has ended.</summary>
    /// <param name="quote">What it is about, if anything was selected.</param>
    /// <param name="parent">The message that it follows; null at the start.</param>
    public ConversationState Ask(string text, string? quote, MessageId localId, MessageId? parent, DateTimeOffset now)
    {
        if (parent is { } known && Messages.Find(message => message.Id == known) is { Role: ChatRole.User } question && question.Text == text && question.Quote == quote)
            return this with { AnswersTo = question.Id };
        var asked = new MessageView { Id = localId, ParentId = parent, Role = ChatRole.User, Text = text, Quote = quote, CreatedAt = now };
        return (this with { Messages = Messages.Add(asked), AnswersTo = localId, Local = localId }).Choose(asked);
    }

    /// <summary>Takes back a question that the API refused.</summary>
    public ConversationState Withdraw(MessageId localId) => this with
    {
        AnswersTo = null,
        Messages = Messages.RemoveAll(message => message.Id == localId),
        Chosen = Chosen.RemoveRange(Chosen.Where(choice => choice.Value == localId).Select(choice => choice.Key)),
    };

    /// <summary>Waits for the events of a run that is going on, from its first one.</summary>
    public ConversationState Attach(RunId run) => this with { ActiveRun = run, ActiveMessage = null, Ahead = 0, LastSeq = 0 };

    /// <summary>Takes over what a run's log tells about its answer beside the text.</summary>
    public ConversationState Explain(MessageView told) => Messages.FindIndex(message => message.Id == told.Id) is >= 0 and var at
        ? this with { Messages = Messages.SetItem(at, Messages[at] with { Agent = told.Agent, Model = told.Model, Steps = told.Steps, Failure = told.Failure }) }
        : this;

    /// <summary>Takes over the history after a run, keeping the branch that was shown.</summary>
    public ConversationState Refresh(IEnumerable<HistoryMessage> history)
    {
        var known = Messages.ToDictionary(message => message.Id);
        return this with
        {
            // The stream told more about an answer (recall, filters, failure) than the history keeps.
            Messages = [.. history.Select(MessageView.From).Select(message =>
                known.TryGetValue(message.Id, out var before) && before.Text == message.Text && before.Status == message.Status
                    ? before with { ParentId = message.ParentId }
                    : message)],
            ActiveRun = null,
            ActiveMessage = null,
            Local = null,
            LastSeq = 0,
        };
    }

    /// <summary>
    /// Takes over the newest messages after a run, without reading a long conversation again. Null when something between them and what is known is
    /// missing: another page wrote more than that.
    /// </summary>
    /// <param name="newest">In the order they were made.</param>
    public ConversationState? RefreshEnd(IReadOnlyList<HistoryMessage> newest)
    {
        if (newest.Count == 0 || !Messages.Exists(message => message.Id == newest[0].Id))
            return null;
        var stored = newest.Select(message => message.Id).ToHashSet();
        var older = Messages.RemoveAll(message => message.Id == Local || stored.Contains(message.Id));
        var end = Refresh(newest);
        return end with { Messages = [.. older, .. end.Messages] };
    }

    /// <summary>Follows one more event of the active run, or of a run that begins with it.</summary>
    public ConversationState Apply(RunEvent evt)
    {
        if (evt.RunId != ActiveRun)
            return evt is RunQueued or RunStarted && !HasEnded(evt.RunId) ? Attach(evt.RunId).Apply(evt) : this;
        if (evt.Seq <= LastSeq)
            return this;
        var state = this with { LastSeq = evt.Seq };
        return evt switch
        {
            RunStarted started => state.Start(started),
            RunQueued queued => state with { Ahead = queued.Ahead },
            _ when evt.IsTerminal => state.Change(evt) with { ActiveRun = null, ActiveMessage = null, Ahead = 0, LastSeq = 0 },
            _ => state.Change(evt),
        };
    }

    private bool HasEnded(RunId run) =>
        Messages.Exists(message => message.RunId == run && message.Role is ChatRole.Assistant && !message.IsRunning);

    private ConversationState Start(RunStarted started)
    {
        var at = Messages.FindIndex(message => message.Id == started.MessageId);
        var parent = at >= 0 ? Messages[at].ParentId : AnswersTo ?? Branch().LastOrDefault()?.Id;

        // A replay from the start writes the answer anew; what the history knew of it would be said twice.
        var answer = new MessageView
        {
            Id = started.MessageId,
            ParentId = parent,
            Role = ChatRole.Assistant,
            Status = RunStatus.Running,
            RunId = started.RunId,
            Agent = started.Agent,
            Model = started.Model,
            CreatedAt = started.At,
        };
        var messages = at < 0 ? Messages.Add(answer) : Messages.SetItem(at, answer);
        return (this with { Id = started.ConversationId, Agent = started.Agent, Messages = messages, ActiveMessage = answer.Id, AnswersTo = null, Ahead = 0 }).Choose(answer);
    }

    private ConversationState Change(RunEvent evt)
    {
        var at = Messages.FindLastIndex(message => message.Id == ActiveMessage);
        return at < 0 ? this : this with { Messages = Messages.SetItem(at, AnswerFold.Apply(Messages[at], evt)) };
    }

    private MessageView? Shown(IEnumerable<MessageView> siblings, MessageId parent)
    {
        MessageView? newest = null;
        foreach (var sibling in siblings)
        {
            if (Chosen.TryGetValue(parent, out var chosen) && sibling.Id == chosen)
                return sibling;
            newest = sibling;
        }

        return newest;
    }
}
