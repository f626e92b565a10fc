using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace AgentFlow.ServiceDefaults.Health;

internal static class HealthEndpoints
{
    private sealed record HealthAnswer(string Status);

    public static void Map(IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup(string.Empty).AllowAnonymous().WithTags("Health");
        group.MapGet("/health", Health).WithName("Health").WithSummary("The process serves requests; touches no dependency");
        group.MapGet("/ready", ReadyAsync).WithName("Ready").WithSummary("Each dependency with its state; 503 when the service can not do its job")
            .Produces<ReadinessReport>(StatusCodes.Status503ServiceUnavailable);
    }

    private static Ok<HealthAnswer> Health() => TypedResults.Ok(new HealthAnswer("ok"));

    private static async Task<JsonHttpResult<ReadinessReport>> ReadyAsync(Readiness readiness, CancellationToken ct)
    {
        var report = await readiness.ReportAsync(ct);
        return TypedResults.Json(report, statusCode: report.Status == "not_ready" ? StatusCodes.Status503ServiceUnavailable : StatusCodes.Status200OK);
    }
}
