using System.Collections.Immutable;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.Web.Markdown;
using AgentFlow.Web.State;
using Microsoft.AspNetCore.Components;

namespace AgentFlow.Web.Components.Chat;

/// <summary>The conversation: its list, its messages, the composer, and a panel for what a citation or a step opens.</summary>
public sealed partial class ChatPage
{
    private const int FirstMessages = 60;

    /// <summary>So few that drawing them keeps a frame: 40 took the browser 50 to 60 ms.</summary>
    private const int MoreMessages = 2 * MessageParts.Size;

    /// <summary>Stands for the start of the conversation where a sibling of its first message is meant.</summary>
    private static readonly MessageId Start = new(Guid.Empty);

    private ConversationSession? _session;
    private RenderPacer? _pacer;
    private Composer? _composer;
    private Panel? _panel;
    private string? _picked;
    private string? _quote;
    private string _announcement = "";
    private int _shown = FirstMessages;
    private bool _wasBusy;
    private Drawing? _drawn;
    private ConversationState? _branchOf;
    private ImmutableList<MessageView> _branch = [];
    private LinkPolicy _links = LinkPolicy.None;
    private Dictionary<MessageId, int> _siblings = [];

#pragma warning disable MA0046 // Who draws an answer's words needs neither sender nor arguments.
    /// <summary>There are new words of the answer that is being written.</summary>
    internal event Action? Streamed;
#pragma warning restore MA0046

    [Parameter]
    public Guid? Id { get; set; }

    private string? Title => _session?.State.Id is { } id ? Workspace.Conversations.FirstOrDefault(conversation => conversation.Id == id)?.Title : null;

    private string? Agent
    {
        get => Workspace.AgentFor(_picked, _session?.State.Agent);
        set => _picked = value;
    }

    private ImmutableList<MessageView> Branch
    {
        get
        {
            if (_session is { } session && !ReferenceEquals(session.State, _branchOf))
            {
                _branchOf = session.State;
                _branch = session.State.Branch();
                _siblings = session.State.Messages.GroupBy(message => message.ParentId ?? default).ToDictionary(group => group.Key, group => group.Count());
                if (!session.IsBusy || _links == LinkPolicy.None)
                    _links = LinksOf(_branch);
            }

            return _branch;
        }
    }

    protected override void OnInitialized() => Workspace.Changed += OnWorkspaceChanged;

    protected override async Task OnParametersSetAsync()
    {
        if (!RendererInfo.IsInteractive)
            return;
        if (_session is null)
        {
            _session = new ConversationSession(Api, Stream, Time);
            _pacer = new RenderPacer(Time, () => InvokeAsync(StateHasChanged));
            _session.Changed += OnSessionChanged;
        }
        else if (_session.State.Id?.Value == Id)
        {
            return;
        }

        (_panel, _quote, _picked, _shown, _links) = (null, null, null, FirstMessages, LinkPolicy.None);
        await _session.OpenAsync(Id is { } id ? new ConversationId(id) : null);
    }

    /// <summary>What was written below, with what was selected before.</summary>
    private async Task AskAsync(string text)
    {
        if (_session is not { IsBusy: false })
            return;
        var quote = _quote;
        _quote = null;
        if (await AskAsync(text, quote, Branch.LastOrDefault()?.Id))
            return;
        _quote = quote;
        if (_composer is not null)
            await _composer.RestoreAsync(text);
    }

    /// <param name="quote">What the question is about, if anything was selected.</param>
    /// <param name="parent">The message that it follows: a sibling of what follows it already makes a branch.</param>
    /// <returns>False when it was refused.</returns>
    internal async Task<bool> AskAsync(string text, string? quote, MessageId? parent)
    {
        if (_session is not { IsBusy: false } session || string.IsNullOrWhiteSpace(text))
            return false;
        var request = new ChatRequest
        {
            Message = text.Trim(),
            ConversationId = session.State.Id,
            Agent = Agent,
            SelectedText = quote,
            ParentMessageId = session.State.Id is null ? null : parent ?? Start,
        };
        return await session.AskAsync(request, parent);
    }

    /// <summary>The same question once more; its answer stands beside the first one.</summary>
    internal Task RegenerateAsync(MessageView answer) =>
        _session?.State.Messages.Find(message => message.Id == answer.ParentId) is { } question ? AskAsync(question.Text, question.Quote, question.Id) : Task.CompletedTask;

    internal void Step(MessageView message, int by)
    {
        if (_session is null)
            return;
        var siblings = _session.State.Siblings(message);
        var at = siblings.FindIndex(sibling => sibling.Id == message.Id) + by;
        if (at >= 0 && at < siblings.Count)
            _session.Choose(siblings[at]);
    }

    internal int PositionOf(MessageView message) => _session?.State.Siblings(message).FindIndex(sibling => sibling.Id == message.Id) ?? 0;

    internal void OpenCitation(Citation citation) => Open(citation.DocumentId is { } document
        ? new SourcePanel(document, citation.Start, citation.End, citation.Quote)
        : new QuotePanel(citation.Quote));

    internal void OpenPassage(DocumentId document, int start, int end, string text) => Open(new SourcePanel(document, start, end, text));

    internal async Task OpenStepsAsync(MessageView message)
    {
        Open(new StepsPanel(message.Id));
        if (_session is not null)
            await _session.ExplainAsync(message.Id);
        StateHasChanged();
    }

    internal async Task DecideAsync(RunId run, string callId, string decision, JsonElement? arguments)
    {
        if (_session is not null)
            await _session.DecideAsync(run, callId, decision, arguments);
    }

    internal void QuoteText(string text)
    {
        _quote = text.Length <= 20_000 ? text : text[..20_000];
        StateHasChanged();
    }

    private void Open(Panel panel)
    {
        _panel = panel;
        StateHasChanged();
    }

    private void ClosePanel() => _panel = null;

    private Task StopAsync() => _session?.StopAsync() ?? Task.CompletedTask;

    private async Task RetryAsync()
    {
        await Workspace.LoadAsync(CancellationToken.None);
        if (_session is { IsBusy: false } session)
            await session.OpenAsync(session.State.Id);
    }

    private void OnSessionChanged()
    {
        if (_session is not { } session)
            return;
        if (session.State.Id is { } id && Id != id.Value && session.IsBusy)
        {
            Id = id.Value;
            Navigation.NavigateTo("/c/" + id, replace: true);
            _ = InvokeAsync(RefreshListAsync);
        }

        if (_wasBusy != session.IsBusy)
        {
            _wasBusy = session.IsBusy;
            _announcement = session.IsBusy ? L["The answer is being written."] : Announce(session.State.Branch().LastOrDefault());
            _ = InvokeAsync(RefreshListAsync);
        }

        var drawing = Drawing.Of(session);
        if (drawing == _drawn)
        {
            Streamed?.Invoke();
            return;
        }

        _drawn = drawing;
        _pacer?.Request();
    }

    /// <summary>The newest state of a message; null when the page shows another conversation by now.</summary>
    internal MessageView? Find(MessageId id) => _session?.State.Messages.FindLast(message => message.Id == id);

    /// <summary>A screen reader hears an answer once, when it is whole; not word by word.</summary>
    private string Announce(MessageView? answer) =>
        answer is { Role: ChatRole.Assistant } ? L["Answer:"] + " " + (answer.Text.Length <= 600 ? answer.Text : answer.Text[..600] + "…") : "";

    private Task RefreshListAsync() => Workspace.RefreshConversationsAsync(CancellationToken.None);

    private void OnWorkspaceChanged() => _ = InvokeAsync(StateHasChanged);

    private static LinkPolicy LinksOf(ImmutableList<MessageView> branch) => LinkPolicy.From(
        branch.Where(message => message.Role is ChatRole.User).Select(message => message.Text)
            .Concat(branch.SelectMany(message => message.Citations).Select(citation => citation.Quote))
            .Concat(branch.SelectMany(message => message.Steps).OfType<RecallStep>().SelectMany(step => step.Chunks).Select(chunk => chunk.Text)));

    public async ValueTask DisposeAsync()
    {
        Workspace.Changed -= OnWorkspaceChanged;
        if (_session is not null)
        {
            _session.Changed -= OnSessionChanged;
            _session.Dispose();
        }

        if (_pacer is not null)
            await _pacer.DisposeAsync();
    }

    private abstract record Panel;

    private sealed record SourcePanel(DocumentId Document, int Start, int End, string Quote) : Panel;

    private sealed record QuotePanel(string Text) : Panel;

    private sealed record StepsPanel(MessageId Message) : Panel;
}
