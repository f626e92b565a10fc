using AgentFlow.ApiService.Identity;
using AgentFlow.Contracts;
using AgentFlow.Contracts.Runs;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.ApiService.Tools;

internal static class ApprovalEndpoints
{
    public static void MapApprovals(this IEndpointRouteBuilder routes) => routes.MapPost("/api/runs/{runId}/approvals/{callId}", DecideAsync)
        .RequireAuthorization(Policies.Chat)
        .WithTags("Runs")
        .WithName("DecideApproval")
        .WithSummary("Approves, edits or denies a tool call that waits for consent. The first answer counts; the same answer again is 200.");

    private static async Task<Results<Ok<ApprovalAnswer>, ProblemHttpResult>> DecideAsync(
        string runId, string callId, ApprovalRequest request, Caller caller, ApprovalStore store, CancellationToken ct)
    {
        if (request.Arguments is { } edited && (edited.ValueKind != System.Text.Json.JsonValueKind.Object || request.Decision != ApprovalChoice.Approve))
            return Problem.Invalid("arguments", "Arguments are a JSON object and come with approve only.");
        if (!RunId.TryParse(runId, null, out var run) || callId.Length > 200
            || await store.DecideAsync(caller.Owner, run, callId, request.Decision, request.Arguments, ct) is not { } outcome)
            return Problem.NotFound("approval");
        return outcome.Holds(request.Decision)
            ? TypedResults.Ok(new ApprovalAnswer(callId, request.Decision))
            : Problem.Result(StatusCodes.Status409Conflict, "approval_closed", outcome.Closed);
    }
}
