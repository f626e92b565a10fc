using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts.Runs;
using Microsoft.Extensions.AI;

namespace AgentFlow.ApiService.Tools;

/// <summary>A function that an agent can be granted.</summary>
/// <param name="Function">Its arguments come from the model and are checked against the function's schema; who calls is never among them.</param>
/// <param name="HasSideEffects">It changes something, or sends something out.</param>
/// <param name="GivesUntrustedText">Its result holds text that others wrote: documents, the web, another server.</param>
/// <param name="Type">function, or the kind of its source, for telemetry.</param>
internal sealed record Tool(AIFunction Function, bool HasSideEffects, bool GivesUntrustedText, string Type = "function")
{
    public string Name => Function.Name;

    /// <summary>Absent: the general limit.</summary>
    public TimeSpan? Timeout { get; init; }
}

/// <summary>Where tools come from: the built-in ones, MCP servers, plug-ins. Names are unique over all sources.</summary>
internal interface IToolSource
{
    /// <summary>The tools that can be used now; a source that is down has none. Cheap: called for each turn.</summary>
    IReadOnlyCollection<Tool> Tools { get; }
}

/// <summary>One run's tools and what is known of its context.</summary>
internal sealed class ToolSession(RunContext run, RunWriter writer, IReadOnlyDictionary<string, (Tool Tool, ToolPolicyKind Policy)> granted)
{
    private readonly Lock _gate = new();
    private int _waits;
    private long _waitingSince;

    public RunContext Run => run;

    public RunWriter Writer => writer;

    public IReadOnlyDictionary<string, (Tool Tool, ToolPolicyKind Policy)> Granted => granted;

    /// <summary>Text that somebody else wrote is in the context, so side effects need a person's consent. Once true, it stays.</summary>
    public bool ReadUntrustedText { get; set; }

    /// <summary>How long people were waited for, together.</summary>
    public TimeSpan Waited { get; private set; }

    /// <summary>A call waits for a person from now on.</summary>
    public void BeginWait(TimeProvider time)
    {
        writer.BeginWait();
        lock (_gate)
        {
            if (_waits++ == 0)
                _waitingSince = time.GetTimestamp();
        }
    }

    /// <summary>Not after a wait that was cancelled: the run is over then.</summary>
    public void EndWait(TimeProvider time)
    {
        writer.EndWait();
        lock (_gate)
        {
            if (--_waits == 0)
                Waited += time.GetElapsedTime(_waitingSince);
        }
    }

    /// <summary>Keeps where the run stands, before a person is asked.</summary>
    public Func<CancellationToken, Task> Park { get; set; } = static _ => Task.CompletedTask;

    /// <summary>For the first step after the run changed hands: the tool calls of the steps before. Null otherwise.</summary>
    public int? ResumedAfterCalls { get; set; }

    /// <summary>How far a pending call had come before the run changed hands; null in a run that did not.</summary>
    public CallSoFar? SoFar(string callId) => ResumedAfterCalls is { } before ? writer.SoFar(callId, before) : null;

    public IList<AITool> Declarations { get; } = [.. granted.Values.Where(g => g.Policy != ToolPolicyKind.Deny).Select(g => g.Tool.Function)];
}

/// <summary>Codes of <see cref="ToolFailure"/>.</summary>
internal static class ToolCodes
{
    public const string NotFound = "NOT_FOUND";
    public const string InvalidArguments = "INVALID_ARGUMENTS";
    public const string Denied = "DENIED";
    public const string Timeout = "TIMEOUT";
    public const string InternalError = "INTERNAL_ERROR";
}

/// <summary>A tool's own refusal; the text goes to the model and the reader.</summary>
internal sealed class ToolException(string code, string message, bool recoverable = false) : Exception(message)
{
    public ToolFailure Failure => new(Message, code, recoverable);
}
