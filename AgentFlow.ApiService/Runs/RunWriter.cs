using System.Text;
using System.Text.Json;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Postgres;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// What an agent writes its run's events to. Keeps the answer's text, citations, tool calls and usage as they pass, so that a run
/// that breaks off keeps them. Thread-safe: tools that run side by side may emit at once.
/// </summary>
/// <param name="append">Hands an event to the log; it completes when the event was accepted, which waits only while too many of the
/// run's events are uncommitted. The log numbers, commits, then publishes.</param>
internal sealed class RunWriter(RunId runId, Func<RunEvent, CancellationToken, ValueTask> append)
{
    private readonly Lock _gate = new();
    private readonly StringBuilder _text = new();
    private readonly List<Citation> _citations = [];
    private readonly List<ToolCalled> _called = [];
    private readonly List<ToolCallSummary> _toolCalls = [];
    private readonly Dictionary<string, (DateTimeOffset Until, bool IsResolved)> _asked = new(StringComparer.Ordinal);
    private readonly Dictionary<string, JsonElement> _edited = new(StringComparer.Ordinal);
    private readonly List<Action<DbBatch>> _committedWithEnd = [];
    private char? _half;
    private int _waits;

    public RunId RunId => runId;

    /// <summary>What is handed in while the run goes on; empty where nobody can.</summary>
    public RunAdditions Additions { get; init; } = new();

    /// <summary>All deltas so far, joined.</summary>
    public string Text
    {
        get
        {
            lock (_gate)
                return _text.ToString();
        }
    }

    public IReadOnlyList<Citation> Citations
    {
        get
        {
            lock (_gate)
                return [.. _citations];
        }
    }

    public IReadOnlyList<ToolCallSummary> ToolCalls
    {
        get
        {
            lock (_gate)
                return [.. _toolCalls];
        }
    }

    /// <summary>The last usage reported, which covers the whole run; null before.</summary>
    public RunUsage? Usage { get; private set; }

    public ContextRecalled? Recalled { get; private set; }

    /// <summary>The run waits for a person and can be left so: it has a checkpoint. Stays true when the wait was cancelled.</summary>
    public bool IsParked => Volatile.Read(ref _waits) > 0;

    public void BeginWait() => Interlocked.Increment(ref _waits);

    /// <summary>Not after a wait that was cancelled.</summary>
    public void EndWait() => Interlocked.Decrement(ref _waits);

    /// <summary>What <see cref="CommitWithEnd"/> was given.</summary>
    public IReadOnlyList<Action<DbBatch>> CommittedWithEnd
    {
        get
        {
            lock (_gate)
                return [.. _committedWithEnd];
        }
    }

    /// <summary>
    /// Keeps statements for the transaction that ends the run, so that they cost no commit of their own. The batch is a worker's. It is sent also
    /// when another process has taken the run over: what must not be written then asks for the run's status, which is that process's word.
    /// </summary>
    public void CommitWithEnd(Action<DbBatch> add)
    {
        lock (_gate)
            _committedWithEnd.Add(add);
    }

    /// <summary>By the answer's key: messages are not looked up by their run.</summary>
    internal const string MarkUntrusted = "update messages m set read_untrusted = true from runs r where r.id = $1 and m.id = r.answer_id";

    /// <summary>Keeps with the answer that text of others was in sight when it was written.</summary>
    public void MarkAsUntrusted() => CommitWithEnd(batch => batch.Add(MarkUntrusted, [runId.Value]));

    /// <summary>Tool calls so far.</summary>
    public int CallsBegun
    {
        get
        {
            lock (_gate)
                return _called.Count;
        }
    }

    /// <summary>Takes up what the log holds already, for a run that goes on in another process.</summary>
    public void Restore(RunEvent evt)
    {
        lock (_gate)
            Keep(evt);
    }

    /// <summary>What the log says of a call that was pending when the run was left.</summary>
    /// <param name="callId">As the model named it.</param>
    /// <param name="before">Calls of earlier steps, which may have had the same name.</param>
    public CallSoFar SoFar(string callId, int before)
    {
        lock (_gate)
        {
            return new(
                _called.Skip(before).Any(called => called.CallId == callId),
                _toolCalls.Skip(before).FirstOrDefault(each => each.CallId == callId),
                _asked.TryGetValue(callId, out var asked) ? asked.Until : null,
                asked.IsResolved);
        }
    }

    /// <summary>Never a terminal event: those are written by the runs themselves, exactly one.</summary>
    public ValueTask EmitAsync(RunEvent evt, CancellationToken ct)
    {
        if (evt.IsTerminal)
            throw new ArgumentException("A run's terminal event is not the agent's to write.", nameof(evt));
        lock (_gate)
            Keep(evt);
        return append(evt, ct);
    }

    /// <summary>
    /// What a text column or UTF-8 can not hold is replaced by U+FFFD; half a character waits for its other half. So the deltas joined
    /// are the stored answer, byte for byte.
    /// </summary>
    public ValueTask DeltaAsync(string text, CancellationToken ct)
    {
        string clean;
        lock (_gate)
        {
            clean = _half is { } half ? half + text : text;
            _half = null;
            if (clean.Length > 0 && char.IsHighSurrogate(clean[^1]))
            {
                _half = clean[^1];
                clean = clean[..^1];
            }
        }

        if (clean.Length == 0)
            return ValueTask.CompletedTask;
        return EmitAsync(new MessageDelta { Text = IsClean(clean) ? clean : Replace(clean) }, ct);
    }

    private static bool IsClean(string text) => !text.AsSpan().ContainsAnyInRange('\ud800', '\udfff') && !text.Contains('\0', StringComparison.Ordinal);

    /// <summary>Decoding replaces what is no character; the null is replaced by hand.</summary>
    private static string Replace(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)).Replace('\0', '\ufffd');

    private void Keep(RunEvent evt)
    {
        switch (evt)
        {
            case MessageDelta delta:
                _text.Append(delta.Text);
                break;
            case CitationAdded citation:
                _citations.Add(citation.ToCitation());
                break;
            case ToolCalled called:
                _called.Add(called);
                break;
            case ToolReturned returned when _called.Find(c => c.CallId == returned.CallId) is { } call:
                _toolCalls.Add(new(call.CallId, call.Tool, _edited.GetValueOrDefault(call.CallId, call.Arguments), returned.DurationMs, returned.Result, returned.Error));
                break;
            case ApprovalRequired asked:
                _asked[asked.CallId] = (asked.ExpiresAt, false);
                break;
            case ApprovalResolved resolved:
                _asked[resolved.CallId] = (_asked.GetValueOrDefault(resolved.CallId).Until, true);
                if (resolved.Arguments is { } edited)
                    _edited[resolved.CallId] = edited;
                break;
            case UsageReported usage:
                Usage = new(usage.InputTokens, usage.OutputTokens, usage.Cost);
                break;
            case ContextRecalled recalled:
                Recalled = recalled;
                break;
        }
    }
}

/// <summary>How far a tool call had come when its run was left.</summary>
/// <param name="IsBegun">tool.called is in the log.</param>
/// <param name="Returned">What it returned, if it did.</param>
/// <param name="AskedUntil">A person was asked, and may answer until then.</param>
/// <param name="IsResolved">The person's answer is in the log: whatever follows may have happened.</param>
internal sealed record CallSoFar(bool IsBegun, ToolCallSummary? Returned, DateTimeOffset? AskedUntil, bool IsResolved);

/// <summary>The run can not go on for a reason that may be told: <c>run.failed</c>, or a problem if nothing was sent yet.</summary>
/// <param name="code">Stable, such as <c>model_unavailable</c>.</param>
/// <param name="detail">Safe to show: one sentence, no secret, no exception's text.</param>
/// <param name="status">The HTTP status while no byte was sent.</param>
/// <param name="retryAfter">When to come back, for 429 and 503.</param>
internal sealed class RunFailedException(string code, string detail, int status = StatusCodes.Status503ServiceUnavailable, TimeSpan? retryAfter = null)
    : Exception(detail)
{
    public string Code => code;

    public string Detail => Message;

    public int Status => status;

    public TimeSpan? RetryAfter => retryAfter;
}

/// <summary>The answer broke off in the middle and can not be continued: <c>run.interrupted</c> with the text so far.</summary>
internal sealed class RunInterruptedException(string reason) : Exception(reason);
