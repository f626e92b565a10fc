using System.Diagnostics;
using System.Text.Json;
using AgentFlow.ApiService.Agents;
using AgentFlow.ApiService.Models;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Options;

namespace AgentFlow.ApiService.Tools;

/// <summary>
/// Runs the tool calls of one step: arguments checked, policy decided, consent asked for, time and size limited, a few side by side. Every
/// call ends with a <c>tool.returned</c> event and a result for the model, whatever happens inside the tool. Thread-safe.
/// </summary>
internal sealed partial class ToolRunner(
    Approvals approvals, IOptions<ToolOptions> options, IOptions<ContentTelemetryOptions> content, TimeProvider time, ILogger<ToolRunner> log)
{
    /// <summary>The results in the calls' order.</summary>
    /// <param name="session">The run's tools.</param>
    /// <param name="calls">As the model asked.</param>
    /// <param name="allowed">How many may run by the turn's limits; the others are refused.</param>
    /// <param name="ct">Ends the calls with the run.</param>
    public async Task<IReadOnlyList<FunctionResultContent>> RunAsync(
        ToolSession session, IReadOnlyList<FunctionCallContent> calls, int allowed, CancellationToken ct)
    {
        using var slots = new SemaphoreSlim(options.Value.MaxParallel);
        return await Task.WhenAll(calls.Select(async (call, i) =>
        {
            await slots.WaitAsync(ct);
            try
            {
                return await RunAsync(session, call, isAllowed: i < allowed, ct);
            }
            finally
            {
                slots.Release();
            }
        }));
    }

    private async Task<FunctionResultContent> RunAsync(ToolSession session, FunctionCallContent call, bool isAllowed, CancellationToken ct)
    {
        var arguments = ToJson(call);
        var before = session.SoFar(call.CallId);
        if (before?.Returned is { } known)
        {
            session.ReadUntrustedText |= session.Granted.TryGetValue(call.Name, out var source) && source.Tool.GivesUntrustedText;
            return ToResult(call, known.Result, known.Error);
        }

        if (before is not { IsBegun: true })
            await session.Writer.EmitAsync(new ToolCalled { CallId = call.CallId, Tool = call.Name, Arguments = arguments }, ct);
        var startedAt = time.GetTimestamp();
        using var span = StartSpan(session, call);
        var (result, failure) = await OutcomeAsync(session, call, arguments, isAllowed, ct);
        var elapsed = time.GetElapsedTime(startedAt);
        span?.SetTag(Telemetry.Tags.ErrorType, failure?.Code);
        if (content.Value.Content)
            span?.SetTag(Telemetry.Tags.ToolArguments, arguments.GetRawText()).SetTag(Telemetry.Tags.ToolResult, result is { } shown ? Text(shown) : null);
        if (failure is not null)
            span?.SetStatus(ActivityStatusCode.Error);
        Telemetry.ExecuteToolDuration.Record(elapsed.TotalSeconds, new TagList { { Telemetry.Tags.ToolName, KnownName(session, call) }, { Telemetry.Tags.ErrorType, failure?.Code } });
        await session.Writer.EmitAsync(
            new ToolReturned { CallId = call.CallId, DurationMs = Math.Round(elapsed.TotalMilliseconds, 3), Result = result, Error = failure }, ct);
        return ToResult(call, result, failure);
    }

    private static FunctionResultContent ToResult(FunctionCallContent call, JsonElement? result, ToolFailure? failure) =>
        new(call.CallId, failure is null ? Text(result!.Value) : JsonSerializer.Serialize(failure, ContractJson.Options));

    /// <summary>The call may have had its effect when the process ended: it is not made twice.</summary>
    private static bool MayHaveRun(ToolSession session, FunctionCallContent call, Tool tool) =>
        session.SoFar(call.CallId) is { IsBegun: true } before && tool.HasSideEffects && (before.IsResolved || before.AskedUntil is null);

    private async Task<(JsonElement? Result, ToolFailure? Failure)> OutcomeAsync(
        ToolSession session, FunctionCallContent call, JsonElement arguments, bool isAllowed, CancellationToken ct)
    {
        if (!session.Granted.TryGetValue(call.Name, out var granted))
            return (null, new ToolFailure("There is no such tool.", ToolCodes.NotFound, Recoverable: true));
        if (MayHaveRun(session, call, granted.Tool))
            return (null, new ToolFailure("The service stopped while this tool ran; whether it had an effect is not known.", ToolCodes.InternalError, Recoverable: false));
        if (call.Exception is not null)
            return (null, new ToolFailure("The arguments are no JSON object.", ToolCodes.InvalidArguments, Recoverable: true));
        if (!isAllowed)
            return (null, new ToolFailure("The turn's limit of tool calls is reached; answer with what you have.", ToolCodes.Denied, Recoverable: false));
        if (ArgumentCheck.FirstFault(granted.Tool.Function.JsonSchema, arguments) is { } fault)
            return (null, new ToolFailure(fault, ToolCodes.InvalidArguments, Recoverable: true));
        switch (ToolPolicy.Decide(granted.Policy, granted.Tool.HasSideEffects, session.ReadUntrustedText))
        {
            case ToolDecision.Deny:
                return (null, new ToolFailure("This tool may not be used.", ToolCodes.Denied, Recoverable: false));
            case ToolDecision.Ask:
                var answer = await approvals.AskAsync(session, call, arguments, ct);
                if (!answer.IsApproved)
                    return (null, new ToolFailure(answer.Reason, ToolCodes.Denied, Recoverable: false));
                arguments = answer.Arguments;
                if (ArgumentCheck.FirstFault(granted.Tool.Function.JsonSchema, arguments) is { } edited)
                    return (null, new ToolFailure(edited, ToolCodes.InvalidArguments, Recoverable: true));
                break;
        }

        return await InvokeAsync(session, granted.Tool, arguments, ct);
    }

    private async Task<(JsonElement? Result, ToolFailure? Failure)> InvokeAsync(ToolSession session, Tool tool, JsonElement arguments, CancellationToken ct)
    {
        using var timeout = new CancellationTokenSource(tool.Timeout ?? options.Value.Timeout, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(ct, timeout.Token);
        try
        {
            var given = new AIFunctionArguments(arguments.EnumerateObject().ToDictionary(p => p.Name, p => (object?)p.Value, StringComparer.Ordinal))
            {
                Context = new Dictionary<object, object?> { [typeof(ToolSession)] = session },
            };
            var result = await tool.Function.InvokeAsync(given, linked.Token).AsTask().WaitAsync(linked.Token);
            session.ReadUntrustedText |= tool.GivesUntrustedText;
            return (Truncate(ToJson(result)), null);
        }
        catch (ToolException e)
        {
            // A refusal may be in the server's own words, and they reach the model as a result does.
            session.ReadUntrustedText |= tool.GivesUntrustedText;
            return (null, e.Failure);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return (null, new ToolFailure("The tool did not answer in time.", ToolCodes.Timeout, Recoverable: true));
        }
#pragma warning disable CA1031 // A tool call is one of the edges: whatever a tool throws is its failure, not the run's.
        catch (Exception e) when (e is not OperationCanceledException)
#pragma warning restore CA1031
        {
            LogFailed(log, e, tool.Name, session.Run.RunId);
            return (null, new ToolFailure("The tool failed.", ToolCodes.InternalError, Recoverable: false));
        }
    }

    private JsonElement Truncate(JsonElement result)
    {
        var text = Text(result);
        return text.Length <= options.Value.MaxResultCharacters
            ? result
            : JsonSerializer.SerializeToElement(
                $"{text[..options.Value.MaxResultCharacters]}\n(cut here: {text.Length - options.Value.MaxResultCharacters} of {text.Length} characters are left out)",
                ContractJson.Options);
    }

    private static string Text(JsonElement result) => result.ValueKind == JsonValueKind.String ? result.GetString()! : JsonSerializer.Serialize(result, ContractJson.Options);

    private static JsonElement ToJson(FunctionCallContent call) =>
        JsonSerializer.SerializeToElement(call.Arguments ?? new Dictionary<string, object?>(StringComparer.Ordinal), AIJsonUtilities.DefaultOptions);

    private static JsonElement ToJson(object? result) => result switch
    {
        JsonElement element => element,
        null => JsonSerializer.SerializeToElement("done", ContractJson.Options),
        _ => JsonSerializer.SerializeToElement(result, result.GetType(), AIJsonUtilities.DefaultOptions),
    };

    private static Activity? StartSpan(ToolSession session, FunctionCallContent call)
    {
        var name = KnownName(session, call);
        var span = Telemetry.Source.StartActivity($"{Telemetry.Operations.ExecuteTool} {name}");
        span?.SetTag(Telemetry.Tags.Operation, Telemetry.Operations.ExecuteTool);
        span?.SetTag(Telemetry.Tags.ToolName, name);
        span?.SetTag(Telemetry.Tags.ToolCallId, call.CallId);
        span?.SetTag(Telemetry.Tags.ToolType, session.Granted.TryGetValue(call.Name, out var granted) ? granted.Tool.Type : "function");
        return span;
    }

    /// <summary>A model may call a tool by any name; only known ones become names of spans and series.</summary>
    private static string KnownName(ToolSession session, FunctionCallContent call) => session.Granted.ContainsKey(call.Name) ? call.Name : "unknown";

    [LoggerMessage(Level = LogLevel.Error, Message = "Tool {Tool} failed in run {RunId}")]
    private static partial void LogFailed(ILogger logger, Exception error, string tool, RunId runId);
}
