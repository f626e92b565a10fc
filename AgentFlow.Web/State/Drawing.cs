using AgentFlow.Contracts;

namespace AgentFlow.Web.State;

/// <summary>
/// What of a conversation its page draws besides the words of the answer that is being written. While this stays the same, only those words are
/// drawn again: a streamed word then costs a few hundred bytes, whatever else the page shows.
/// </summary>
internal sealed record Drawing
{
    public ConversationId? Id { get; private init; }

    public int Ahead { get; private init; }

    /// <summary>The answer that is being written, without its words.</summary>
    public MessageView? Active { get; private init; }

    /// <summary>While nothing is written, the whole conversation; else how many messages it has.</summary>
    public object? Rest { get; private init; }

    public bool IsLoading { get; private init; }

    public bool IsStopping { get; private init; }

    public bool IsConnected { get; private init; }

    public Api.ApiProblem? Problem { get; private init; }

    public static Drawing Of(ConversationSession session) => Of(session.State, session.IsBusy) with
    {
        IsLoading = session.IsLoading,
        IsStopping = session.IsStopping,
        IsConnected = session.IsConnected,
        Problem = session.Problem,
    };

    public static Drawing Of(ConversationState state, bool isBusy)
    {
        var active = isBusy ? state.Active : null;
        return new Drawing
        {
            Id = state.Id,
            Ahead = state.Ahead,
            Active = active is null ? null : active with { Text = active.Text.Length == 0 ? "" : "…", Citations = [] },
            Rest = active is null ? state : state.Messages.Count,
        };
    }
}
