using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.Web.Api;

namespace AgentFlow.Web.State;

/// <summary>
/// One conversation on one page: loads it, follows its runs, and tells when there is something new to draw. Runs on the page's dispatcher, so
/// it needs no lock. Leaving the page stops following; the run goes on and is found again by its id.
/// </summary>
internal sealed class ConversationSession(ApiClient api, RunStream stream, TimeProvider time) : IDisposable
{
    private const int HistoryPage = 200;
    private const int SettledMessages = 20;
    private Stay _stay = new();

#pragma warning disable MA0046 // A page that is told to draw needs neither sender nor arguments.
    public event Action? Changed;
#pragma warning restore MA0046

    public ConversationState State { get; private set; } = ConversationState.Empty;

    public bool IsLoading { get; private set; }

    /// <summary>From the moment a question is sent to the end of its run.</summary>
    public bool IsBusy { get; private set; }

    public bool IsStopping { get; private set; }

    public bool IsConnected { get; private set; } = true;

    public ApiProblem? Problem { get; private set; }

    /// <summary>What is read of the conversation; repeated by itself while the API is away.</summary>
    public PageWork Loading { get; private set; } = new();

    /// <summary>Shows another conversation, or an empty page for null, and attaches to its run if one is going on.</summary>
    public async Task OpenAsync(ConversationId? id)
    {
        _stay.Dispose();
        _stay = new Stay();
        var leaving = _stay.Leaving;
        (State, Problem, IsBusy, IsLoading, IsConnected) = (ConversationState.Empty with { Id = id }, null, false, id is not null, true);
        Loading = new PageWork();
        Tell();
        if (id is { } known)
            await GuardAsync(() => LoadAsync(known, leaving), leaving);
    }

    /// <summary>
    /// Asks and follows the run to its end. A refusal takes the question back and is told in <see cref="Problem"/>. When the parent is a question
    /// with this very text, that question is answered once more.
    /// </summary>
    /// <returns>False when the API refused, so that the text can go back to where it was written.</returns>
    public async Task<bool> AskAsync(ChatRequest request, MessageId? parent)
    {
        var local = MessageId.New();
        var leaving = _stay.Leaving;
        var accepted = false;
        State = State.Ask(request.Message ?? "", request.SelectedText, local, parent, time.GetUtcNow());
        (IsBusy, Problem) = (true, null);
        Tell();
        await GuardAsync(async () =>
        {
            await foreach (var evt in stream.StartAsync(request, Connected, leaving))
            {
                accepted = true;
                Apply(evt);
            }

            await SettleAsync(leaving);
        }, leaving);
        if (!accepted && !leaving.IsCancellationRequested)
            State = State.Withdraw(local);
        Finish(leaving);
        return accepted || leaving.IsCancellationRequested;
    }

    /// <summary>Asks the API to end the run; the stream then brings the terminal event.</summary>
    public async Task StopAsync()
    {
        IsStopping = true;
        Tell();
        var path = State.ActiveRun is { } run ? $"api/runs/{run}/cancel" : State.Id is { } id ? $"api/chat/{id}/cancel" : null;
        if (path is not null)
            await GuardAsync(() => api.SendAsync(HttpMethod.Post, path, null, _stay.Leaving), _stay.Leaving);
    }

    public async Task DecideAsync(RunId run, string callId, string decision, System.Text.Json.JsonElement? arguments) => await GuardAsync(
        () => api.SendAsync(HttpMethod.Post, $"api/runs/{run}/approvals/{Uri.EscapeDataString(callId)}", new { decision, arguments }, _stay.Leaving),
        _stay.Leaving);

    /// <summary>Reads from the run's log how an answer came about: the history keeps its calls of tools alone. The log is kept for some time only.</summary>
    public async Task ExplainAsync(MessageId id)
    {
        if (State.Messages.Find(message => message.Id == id) is not { Role: ChatRole.Assistant, IsRunning: false, Agent: null, RunId: { } run } answer)
            return;
        var leaving = _stay.Leaving;
        await GuardAsync(
            async () =>
            {
                var told = answer with { Text = "", Citations = [], Steps = [] };
                try
                {
                    await foreach (var evt in stream.AttachAsync(run, 0, static _ => { }, leaving))
                        told = AnswerFold.Apply(told, evt);
                }
                catch (ApiException gone) when (gone.Problem.Status is StatusCodes.Status404NotFound or StatusCodes.Status410Gone)
                {
                    return;
                }

                State = State.Explain(told);
                Tell();
            },
            leaving);
    }

    public void Choose(MessageView message)
    {
        State = State.Choose(message);
        Tell();
    }

    public void Dismiss()
    {
        Problem = null;
        Tell();
    }

    public void Dispose() => _stay.Dispose();

    private async Task LoadAsync(ConversationId id, CancellationToken leaving)
    {
        RunId? active = null;
        await PatientlyAsync(
            async () =>
            {
                // Asked before the history: an answer that ends between the two is in the history then, and otherwise in neither.
                var conversation = await api.GetAsync<ConversationSummary>($"api/chat/{id}", leaving);
                active = conversation.ActiveRunId;
                State = ConversationState.FromHistory(id, await HistoryAsync(id, leaving), conversation.Agent);
            },
            leaving);
        IsLoading = false;
        Tell();
        if (active is not { } run)
        {
            // Why an answer failed stands in its run's log.
            if (State.Branch() is [.., { Status: RunStatus.Failed } failed])
                await ExplainAsync(failed.Id);
            return;
        }

        State = State.Attach(run);
        IsBusy = true;
        Tell();
        await foreach (var evt in stream.AttachAsync(run, 0, Connected, leaving))
            Apply(evt);
        await SettleAsync(leaving);
        Finish(leaving);
    }

    private async Task<List<HistoryMessage>> HistoryAsync(ConversationId id, CancellationToken leaving)
    {
        var history = new List<HistoryMessage>();
        string? cursor = null;
        do
        {
            var more = cursor is null ? "" : "&cursor=" + Uri.EscapeDataString(cursor);
            var page = await api.GetAsync<Page<HistoryMessage>>($"api/chat/{id}/history?limit={HistoryPage}{more}", leaving);
            history.AddRange(page.Items);
            cursor = page.NextCursor;
        }
        while (cursor is not null);
        return history;
    }

    /// <summary>After a run: what is stored counts, and carries the real ids.</summary>
    private async Task SettleAsync(CancellationToken leaving)
    {
        if (State.Id is not { } id)
            return;
        await PatientlyAsync(
            async () =>
            {
                var end = await api.GetAsync<Page<HistoryMessage>>($"api/chat/{id}/history?order=desc&limit={SettledMessages}", leaving);
                State = end.NextCursor is null ? State.Refresh(end.Items) : State.RefreshEnd(end.Items) ?? State.Refresh(await HistoryAsync(id, leaving));
            },
            leaving);
    }

    /// <summary>Reads until the API gives it, telling while it does not.</summary>
    /// <exception cref="ApiException">It was refused for a reason that waiting does not cure.</exception>
    private async Task PatientlyAsync(Func<Task> read, CancellationToken leaving)
    {
        var loading = Loading;
        async Task TryAsync()
        {
            await loading.LoadAsync(read);
            Tell();
        }

        await TryAsync();
        await loading.HealAsync(TryAsync, time, leaving);
        if (loading.Problem is not { } refused)
            return;
        loading.Dismiss();
        throw new ApiException(refused);
    }

    private void Apply(RunEvent evt)
    {
        State = State.Apply(evt);
        Tell();
    }

    private void Connected(bool connected)
    {
        if (IsConnected == connected)
            return;
        IsConnected = connected;
        Tell();
    }

    private void Finish(CancellationToken leaving)
    {
        if (leaving.IsCancellationRequested)
            return;
        (IsBusy, IsStopping, IsLoading, IsConnected) = (false, false, false, true);
        Tell();
    }

    private async Task GuardAsync(Func<Task> work, CancellationToken leaving)
    {
        try
        {
            await work();
        }
        catch (Exception late) when (late is OperationCanceledException or ApiException && leaving.IsCancellationRequested)
        {
            // The page shows something else by now.
        }
        catch (ApiException refusal)
        {
            Problem = refusal.Problem;
            IsLoading = false;
            Tell();
        }
    }

    private void Tell() => Changed?.Invoke();
}
