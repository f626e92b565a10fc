using System.Collections.Concurrent;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Tools;

/// <param name="Reason">For the model, when it is not approved.</param>
internal sealed record Consent(bool IsApproved, JsonElement Arguments, string Reason);

/// <summary>
/// Asks a person before a tool runs. The question is a row, so any replica can take the answer and it is taken once; the run that waits
/// holds no connection and no thread, and is woken by a notification or, where that was lost, by a look every few seconds.
/// </summary>
internal sealed class Approvals : IDisposable
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _waiting = new(StringComparer.Ordinal);
    private readonly ApprovalStore _store;
    private readonly IDisposable _subscription;
    private readonly ToolOptions _options;
    private readonly TimeProvider _time;

    public Approvals(ApprovalStore store, IOptions<ToolOptions> options, TimeProvider time)
    {
        (_store, _options, _time) = (store, options.Value, time);
        _subscription = store.OnDecision(key =>
        {
            if (_waiting.TryGetValue(key, out var waiting))
                waiting.TrySetResult();
        });
    }

    public async Task<Consent> AskAsync(ToolSession session, FunctionCallContent call, JsonElement arguments, CancellationToken ct)
    {
        var askedUntil = session.SoFar(call.CallId)?.AskedUntil;
        var expiresAt = askedUntil ?? _time.GetUtcNow() + _options.ApprovalTimeout;
        var key = ApprovalStore.Key(session.Run.RunId, call.CallId);
        var waiting = _waiting[key] = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            if (askedUntil is null)
            {
                await session.Park(ct);
                await _store.AskAsync(session.Run.OwnerId, session.Run.RunId, call.CallId, call.Name, arguments, expiresAt, ct);
                await session.Writer.EmitAsync(new ApprovalRequired { CallId = call.CallId, Tool = call.Name, Arguments = arguments, ExpiresAt = expiresAt }, ct);
            }

            session.BeginWait(_time);
            var decided = await WaitAsync(session, call.CallId, waiting, expiresAt, ct);
            session.EndWait(_time);
            await session.Writer.EmitAsync(new ApprovalResolved { CallId = call.CallId, Decision = decided.Decision, Arguments = decided.Arguments }, ct);
            return decided.Decision switch
            {
                ApprovalStore.Approved => new Consent(true, decided.Arguments ?? arguments, ""),
                ApprovalStore.Denied => new Consent(false, arguments, "The user refused this call."),
                _ => new Consent(false, arguments, "Nobody approved this call in time."),
            };
        }
        finally
        {
            _waiting.TryRemove(key, out _);
        }
    }

    public void Dispose() => _subscription.Dispose();

    private async Task<ApprovalDecision> WaitAsync(ToolSession session, string callId, TaskCompletionSource waiting, DateTimeOffset expiresAt, CancellationToken ct)
    {
        while (true)
        {
            var left = expiresAt - _time.GetUtcNow();
            await Task.WhenAny(waiting.Task, Task.Delay(left < LookEvery ? Max(left, TimeSpan.Zero) : LookEvery, _time, ct));
            ct.ThrowIfCancellationRequested();
            var decided = await _store.ReadAsync(session.Run.OwnerId, session.Run.RunId, callId, ct);
            if (decided.Decision != ApprovalStore.Pending)
                return decided;
        }
    }

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;
}
