using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Runs;

/// <summary>The refusals of runs, with the codes that clients branch on.</summary>
internal static class RunErrors
{
    public const string Internal = "internal";

    public static ProblemException NotFound() => new(StatusCodes.Status404NotFound, "not_found", "There is no such run.");

    public static ProblemException NoConversation() => new(StatusCodes.Status404NotFound, "not_found", "There is no such conversation.");

    public static ProblemException Stopping() => new(
        StatusCodes.Status503ServiceUnavailable, "stopping", "This server is being stopped. Try again.") { RetryAfter = TimeSpan.FromSeconds(2) };

    public static ProblemException BeyondTheLog(long after, long lastSeq) => new(
        StatusCodes.Status400BadRequest, "event_id_beyond_log", $"Event {after} is beyond the run's newest, {lastSeq}.");

    public static ProblemException BadEventId() => new(
        StatusCodes.Status400BadRequest, "invalid_event_id", "Last-Event-ID must be <runId>.<seq> of this run, and after a sequence number from 0.");

    public static ProblemException Expired() => new(StatusCodes.Status410Gone, "log_expired", "The run's events are no longer kept. Its messages are in the history.");

    public static ProblemException Busy(RunId? active) => new(
        StatusCodes.Status409Conflict, "run_active",
        active is { } id ? $"Run {id} is answering in this conversation. Wait, cancel it, or send whileRunning enqueue or interrupt." : "This conversation is being answered already.");

    public static ProblemException QueueFull(int limit) => new(
        StatusCodes.Status429TooManyRequests, "queue_full", $"{limit} messages wait in this conversation already.") { RetryAfter = TimeSpan.FromSeconds(5) };

    public static ProblemException Failed(RunFailedException failure) => new(failure.Status, failure.Code, failure.Detail) { RetryAfter = failure.RetryAfter };

    public static ProblemException Failed(string code, string detail) => new(
        code == Internal ? StatusCodes.Status500InternalServerError : StatusCodes.Status503ServiceUnavailable, code, detail);

    public static ProblemException Cancelled() => new(StatusCodes.Status409Conflict, "run_cancelled", "The run was cancelled before it had answered.");

    public static ProblemException Left(RunId run) => new(
        StatusCodes.Status503ServiceUnavailable, "stopping", $"This server is being stopped. Run {run} goes on at the next one: read its events, or send the same Idempotency-Key again.") { RetryAfter = TimeSpan.FromSeconds(2) };

    public static ProblemException Interrupted() => new(
        StatusCodes.Status503ServiceUnavailable, "run_interrupted", "The answer broke off. What had been said is in the history.") { RetryAfter = TimeSpan.FromSeconds(2) };
}
