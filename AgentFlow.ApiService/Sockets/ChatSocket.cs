using System.Net.WebSockets;
using System.Text.Json;
using AgentFlow.ApiService.Chat;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.ApiService.Runs;
using AgentFlow.ApiService.Tools;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Sockets;

/// <summary>What a socket needs of the service.</summary>
internal sealed record SocketServices(
    RunStarter Starter, RunStreams Streams, RunStore Store, RunControl Control, ApprovalStore Approvals, CallerLimits Limits, AccessStates Access,
    TimeProvider Time, ILogger<SocketLink> Logger)
{
    /// <summary>An answer that is under way when the access token runs out may end; within 60 s, with the time between two looks, the socket is closed.</summary>
    private static readonly TimeSpan LastAnswers = TimeSpan.FromSeconds(45);

    /// <summary>Completes when the sign-in has ended, the key was revoked or the access token has run out: its sockets end as well.</summary>
    /// <param name="isAnswering">Whether a run is being followed.</param>
    public async Task<string> WatchAccessAsync(Caller caller, TimeSpan interval, Func<bool> isAnswering, CancellationToken ct)
    {
        do
        {
            await Task.Delay(interval, Time, ct);
            var over = Time.GetUtcNow() - (caller.Until ?? DateTimeOffset.MaxValue);
            if (over >= LastAnswers || (over >= TimeSpan.Zero && !isAnswering()))
                return "The access token has run out. Get a new ticket.";
        }
        while (await Access.IsAllowedAsync(caller, ct));
        return "Access has ended.";
    }

    /// <exception cref="ProblemException">400 for arguments that can not be meant; 404 where nothing waits for this answer; 409 where another one came first, or it comes too late.</exception>
    public async Task DecideAsync(OwnerId owner, ApprovalFrame frame, CancellationToken ct)
    {
        if (frame.Arguments is { } edited && (edited.ValueKind != JsonValueKind.Object || frame.Decision != ApprovalChoice.Approve))
            throw ChatValidation.Invalid("arguments", "Arguments are a JSON object and come with approve only.");
        if (frame.CallId.Length > 200 || await Approvals.DecideAsync(owner, frame.RunId, frame.CallId, frame.Decision, frame.Arguments, ct) is not { } outcome)
            throw new ProblemException(StatusCodes.Status404NotFound, "not_found", "There is no such approval.");
        if (!outcome.Holds(frame.Decision))
            throw new ProblemException(StatusCodes.Status409Conflict, "approval_closed", outcome.Closed);
    }

    public async Task CancelRunAsync(OwnerId owner, RunId run, CancellationToken ct)
    {
        _ = await Store.FindAsync(owner, run, ct) ?? throw RunErrors.NotFound();
        await Control.StopAsync(owner, run, ct);
    }

    public async Task AddContextAsync(OwnerId owner, ContextFrame frame, CancellationToken ct)
    {
        ChatValidation.CheckContext(frame.Context);
        _ = await Store.FindAsync(owner, frame.RunId, ct) ?? throw RunErrors.NotFound();
        if (!await Control.AddContextAsync(owner, frame.RunId, frame.Context, ct))
            throw new ProblemException(StatusCodes.Status409Conflict, "run_ended", "The run takes nothing more: it has ended, or as much was added as it may have.");
    }
}

/// <summary>
/// One person's WebSocket: talking while answers stream. Ends when the client goes, when its access ends, or when the process drains,
/// after the last events.
/// </summary>
internal sealed class ChatSocket(WebSocket socket, Caller caller, SocketServices services, SocketOptions options)
{
    public async Task RunAsync(CancellationToken aborted, CancellationToken stopping)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(aborted);
        using var link = new SocketLink(socket, services.Time, services.Logger);
        var followers = new RunFollowers(link, services.Streams, caller.Owner, options.KeepAlive);
        await link.RunAsync(
            (frame, ct) => HandleAsync(link, followers, frame, ending.Token, ct),
            ct => services.WatchAccessAsync(caller, options.AccessCheck, () => followers.Count > 0, ct),
            followers.AllAsync,
            aborted,
            stopping);
        await ending.CancelAsync();
        await followers.AllAsync();
    }

    private Task HandleAsync(SocketLink link, RunFollowers followers, ClientFrame frame, CancellationToken ending, CancellationToken ct) => frame switch
    {
        MessageFrame message => StartAsync(followers, message, ending, ct),
        CancelFrame cancel => CancelAsync(cancel, ct),
        ContextFrame context => services.AddContextAsync(caller.Owner, context, ct),
        ApprovalFrame approval => services.DecideAsync(caller.Owner, approval, ct),
        _ => link.SendAsync(new PongFrame { Ref = frame.Ref }, ct),
    };

    private async Task StartAsync(RunFollowers followers, MessageFrame frame, CancellationToken ending, CancellationToken ct)
    {
        if (frame.Ask is not null)
            throw ChatValidation.Invalid("ask", "ask is for rooms.");
        if (followers.Count >= options.MaxRuns)
            throw new ProblemException(StatusCodes.Status429TooManyRequests, "too_many_runs", $"One socket follows at most {options.MaxRuns} answers at a time.");
        services.Limits.TakeRun(caller);
        var request = ChatValidation.Accept(frame.ToRequest(), caller.Owner, frame.IdempotencyKey) with { KeyId = caller.KeyId };
        followers.Follow(await services.Starter.StartAsync(request, ct), frame.OnDisconnect, ending);
    }

    private Task CancelAsync(CancelFrame frame, CancellationToken ct) => frame switch
    {
        { RunId: { } run, ConversationId: null } => services.CancelRunAsync(caller.Owner, run, ct),
        { RunId: null, ConversationId: { } conversation } => services.Control.StopAllAsync(caller.Owner, conversation, ct),
        _ => throw ChatValidation.Invalid("runId", "Send either runId or conversationId."),
    };
}
