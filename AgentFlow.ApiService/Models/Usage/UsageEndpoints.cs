using AgentFlow.ApiService.Identity;
using AgentFlow.Contracts;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.ApiService.Models.Usage;

internal static class UsageEndpoints
{
    public static void MapUsage(this IEndpointRouteBuilder routes) => routes.MapGet("/api/admin/usage", ListAsync)
        .RequireAuthorization(Policies.Admin)
        .WithTags("Admin")
        .WithName("GetUsage")
        .WithSummary("Tokens and cost of providers' models by account, API key and model, over the last days (1 to 366, 30 if absent)");

    private static async Task<Results<Ok<Page<UsageLine>>, ProblemHttpResult>> ListAsync(UsageStore usage, CancellationToken ct, int days = 30) =>
        days is < 1 or > 366
            ? Problem.Invalid("days", "days is 1 to 366.")
            : TypedResults.Ok(new Page<UsageLine>(await usage.ListAsync(TimeSpan.FromDays(days), ct)));
}
