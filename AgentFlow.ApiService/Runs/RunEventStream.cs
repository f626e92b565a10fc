using AgentFlow.Contracts;
using AgentFlow.Contracts.Chat;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;

namespace AgentFlow.ApiService.Runs;

/// <summary>
/// A run's events as <c>text/event-stream</c>, from a place in the log to its end. A client that leaves changes nothing, unless the
/// run was started by this very request with <c>onDisconnect=cancel</c>.
/// </summary>
/// <param name="reader">Owned: released at the end.</param>
/// <param name="hold">How long the first byte waits for the model's first sign of life.</param>
internal sealed class RunEventStream(
    RunId runId, RunReader reader, RunHandle? started, OnDisconnect onDisconnect, TimeSpan hold, TimeSpan keepAlive, TimeProvider time, CancellationToken stopping)
    : IResult
{
    public async Task ExecuteAsync(HttpContext httpContext)
    {
        var aborted = httpContext.RequestAborted;
        using var reading = reader;
        using var both = CancellationTokenSource.CreateLinkedTokenSource(aborted, reader.IsLocal ? CancellationToken.None : stopping);
        Telemetry.OpenStreams.Add(1);
        try
        {
            var events = await HoldAsync(both.Token);
            Begin(httpContext.Response);
            await WriteAsync(httpContext.Response, events, both.Token);
        }
        catch (OperationCanceledException) when (aborted.IsCancellationRequested)
        {
            if (onDisconnect == OnDisconnect.Cancel)
                started?.Stop(StopReason.Cancelled);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // Another process executes the run: the client resumes at its next replica.
        }
        finally
        {
            Telemetry.OpenStreams.Add(-1);
        }
    }

    /// <summary>Waits a moment for the first event that shows that the model answers; a run that fails before it is told by a status code.</summary>
    private async Task<List<StoredEvent>> HoldAsync(CancellationToken ct)
    {
        var events = new List<StoredEvent>();
        if (started is null)
            return events;
        var begun = time.GetTimestamp();
        while (!reader.IsAtEnd && !events.Exists(IsSignOfLife))
        {
            var left = hold - time.GetElapsedTime(begun);
            if (left <= TimeSpan.Zero)
                break;
            await reader.ReadAsync(events, left, ct);
        }

        if (reader.IsAtEnd && started.Failure is { } failure && !events.Exists(IsSignOfLife))
            throw RunErrors.Failed(failure);
        return events;
    }

    private async Task WriteAsync(HttpResponse response, List<StoredEvent> events, CancellationToken ct)
    {
        var output = response.BodyWriter;
        while (true)
        {
            foreach (var evt in events)
                SseFrames.Write(output, runId, evt);
            await output.FlushAsync(ct);
            if (reader.IsLeft)
                await LeaveAsync(response, ct);
            if (reader.IsAtEnd)
                return;
            events.Clear();
            await reader.ReadAsync(events, keepAlive, ct);
            if (events.Count == 0 && !reader.IsAtEnd)
                SseFrames.WriteKeepAlive(output);
        }
    }

    /// <summary>The run goes on, but not here: said instead of a last event.</summary>
    private async Task LeaveAsync(HttpResponse response, CancellationToken ct)
    {
        SseFrames.WriteResume(response.BodyWriter, new() { RunId = runId, After = reader.Position });
        await response.BodyWriter.FlushAsync(ct);
    }

    private static void Begin(HttpResponse response)
    {
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-store, no-transform";
        response.Headers["X-Accel-Buffering"] = "no";
        response.Headers[HeaderNames.ContentEncoding] = "identity";
        response.HttpContext.Features.Get<IHttpResponseBodyFeature>()?.DisableBuffering();
    }

    /// <summary>Neither the beginning nor the recall nor the end: something that the model did, or word that the run has to wait.</summary>
    private static bool IsSignOfLife(StoredEvent evt) => evt.Type is not ("run.started" or "context.recalled" or "run.failed");
}
