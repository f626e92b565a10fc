using AgentFlow.ApiService.Runs;
using AgentFlow.Contracts.Chat;
using AgentFlow.Contracts.Runs;

namespace AgentFlow.ApiService.Chat;

/// <summary>Waits for a run's end and tells it as one JSON answer.</summary>
internal sealed class Answers(RunStreams streams, TimeProvider time)
{
    /// <summary>Taken before the run starts, for <see cref="QueryAnswer.Timings"/>.</summary>
    public long Begin() => time.GetTimestamp();

    /// <exception cref="ServiceDefaults.Problems.ProblemException">The run failed, was cancelled, or broke off.</exception>
    public async Task<QueryAnswer> WaitAsync(RunRequest request, RunTicket ticket, long begun, OnDisconnect onDisconnect, CancellationToken ct)
    {
        try
        {
            var (written, terminal) = await streams.CollectAsync(request.Owner, ticket, ct);
            ThrowUnlessCompleted(ticket, terminal);
            return Compose(request, ticket, written, time.GetElapsedTime(begun));
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested && onDisconnect == OnDisconnect.Cancel)
        {
            ticket.Local?.Stop(StopReason.Cancelled);
            throw;
        }
    }

    private static void ThrowUnlessCompleted(RunTicket ticket, RunEvent terminal)
    {
        switch (terminal)
        {
            case RunFailed failed:
                throw ticket.Local?.Failure is { } failure ? RunErrors.Failed(failure) : RunErrors.Failed(failed.Code, failed.Detail);
            case RunCancelled:
                throw RunErrors.Cancelled();
            case RunInterrupted:
                throw RunErrors.Interrupted();
        }
    }

    private static QueryAnswer Compose(RunRequest request, RunTicket ticket, RunWriter written, TimeSpan total)
    {
        var recalled = written.Recalled;
        var retrievalMs = recalled?.Ms ?? 0;
        return new()
        {
            RunId = ticket.RunId,
            ConversationId = ticket.ConversationId,
            Answer = written.Text,
            Mode = request.SelectedText is null ? QueryMode.Retrieval : QueryMode.SelectedText,
            Citations = written.Citations,
            Chunks = recalled?.Chunks ?? [],
            Memories = recalled?.Memories ?? [],
            ToolCalls = written.ToolCalls,
            Usage = written.Usage ?? new(0, 0),
            Degraded = recalled?.Degraded ?? [],
            Timings = new(Round(retrievalMs), Round(Math.Max(0, total.TotalMilliseconds - retrievalMs)), Round(total.TotalMilliseconds)),
        };
    }

    private static double Round(double ms) => Math.Round(ms, 2);
}
