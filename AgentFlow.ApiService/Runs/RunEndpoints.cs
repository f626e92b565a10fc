using System.Globalization;
using AgentFlow.ApiService.Identity;
using AgentFlow.ApiService.Limits;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace AgentFlow.ApiService.Runs;

/// <summary>The state of runs, their resumable event streams, and the way to stop them.</summary>
internal static class RunEndpoints
{
    public static void Map(IEndpointRouteBuilder routes)
    {
        var runs = routes.MapGroup("/api/runs").WithTags("Runs").RequireAuthorization(Policies.Chat)
            .ProducesProblem(StatusCodes.Status401Unauthorized).ProducesProblem(StatusCodes.Status404NotFound);
        runs.MapGet("/{id:guid}", Get).WithName("GetRun").WithSummary("The state of a run.");
        runs.MapGet("/{id:guid}/events", Events).Streams().WithName("GetRunEvents").WithSummary("The events of a run from a place in its log, live while it goes on.")
            .Produces(StatusCodes.Status200OK, contentType: "text/event-stream").Produces(StatusCodes.Status204NoContent)
            .ProducesProblem(StatusCodes.Status400BadRequest).ProducesProblem(StatusCodes.Status410Gone);
        runs.MapPost("/{id:guid}/cancel", Cancel).WithName("CancelRun").WithSummary("Stops a run; its partial text is kept. No error when nothing runs.");
    }

    private static async Task<Ok<RunState>> Get(RunId id, Caller caller, RunStore store, CancellationToken ct)
    {
        var row = await store.FindAsync(caller.Owner, id, ct) ?? throw RunErrors.NotFound();
        return TypedResults.Ok(row.State);
    }

    private static async Task<IResult> Events(
        RunId id, Caller caller, RunStreams streams, [FromHeader(Name = "Last-Event-ID")] string? lastEventId, string? after,
        [FromQuery(Name = "starting_after")] string? startingAfter, CancellationToken ct)
    {
        var position = Position(id, lastEventId, after ?? startingAfter);
        return await streams.ResumeAsync(caller.Owner, id, position, ct) is { } stream ? stream : TypedResults.NoContent();
    }

    private static async Task<Ok<RunState>> Cancel(RunId id, Caller caller, RunStore store, RunControl control, LocalRuns local, CancellationToken ct)
    {
        var row = await store.FindAsync(caller.Owner, id, ct) ?? throw RunErrors.NotFound();
        if (row.State.EndedAt is not null)
            return TypedResults.Ok(row.State);
        local.TryFind(id, out var run);
        await control.StopAsync(caller.Owner, id, ct);
        if (run is not null)
            await ((Task)run.Ended).WaitAsync(RunControl.Patience, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return TypedResults.Ok((await store.FindAsync(caller.Owner, id, ct) ?? row).State);
    }

    /// <summary>The header wins, as browsers send it on their own; <c>0199c1e2-....7</c>, or just <c>7</c> in the query.</summary>
    internal static long Position(RunId id, string? lastEventId, string? after)
    {
        if (string.IsNullOrEmpty(lastEventId))
            return string.IsNullOrEmpty(after) ? 0 : Sequence(after);
        var dot = lastEventId.IndexOf('.', StringComparison.Ordinal);
        if (dot < 0 || !RunId.TryParse(lastEventId[..dot], null, out var named) || named != id)
            throw RunErrors.BadEventId();
        return Sequence(lastEventId.AsSpan(dot + 1));
    }

    private static long Sequence(ReadOnlySpan<char> text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seq) ? seq : throw RunErrors.BadEventId();
}
