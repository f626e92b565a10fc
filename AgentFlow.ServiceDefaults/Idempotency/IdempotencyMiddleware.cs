using System.Security.Claims;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace AgentFlow.ServiceDefaults.Idempotency;

/// <summary>Marks a route whose answers are kept under the caller's <c>Idempotency-Key</c>.</summary>
public sealed class IdempotentRoute
{
    /// <summary>The answer holds a secret that is kept nowhere: a repetition is told so with 409 <c>secret_already_shown</c>.</summary>
    internal bool ShowsSecret { get; init; }
}

/// <summary>
/// Runs after authentication. With a key on a marked route, the first request does the work and its answer is kept; the same request again gets that
/// answer; another body 422; while the first is under way 409. A failure of ours (5xx) is not kept.
/// </summary>
internal sealed class IdempotencyMiddleware(RequestDelegate next, IdempotencyStore store)
{
    /// <summary>Bytes of a body that are kept in memory; a larger one is spooled to a temporary file.</summary>
    private const int MemoryBuffer = 64 * 1024;

    public async Task InvokeAsync(HttpContext context)
    {
        var headers = context.Request.Headers[IdempotencyKey.Header];
        if (headers.Count == 0 || context.GetEndpoint() is not RouteEndpoint endpoint || endpoint.Metadata.GetMetadata<IdempotentRoute>() is not { } route
            || !Guid.TryParse(context.User.FindFirstValue("sub"), out var owner))
        {
            await next(context);
            return;
        }

        if (headers.Count > 1 || IdempotencyKey.Parse(headers[0] ?? string.Empty) is not { } value)
        {
            await Problem.WriteAsync(
                context, StatusCodes.Status400BadRequest, "invalid_idempotency_key", "Idempotency-Key takes 1 to 255 visible ASCII characters.");
            return;
        }

        var key = new IdempotencyKey(owner, $"{context.Request.Method} {endpoint.RoutePattern.RawText}", value);
        context.Features.Set(key);
        context.Request.EnableBuffering(MemoryBuffer);
        var decision = await store.BeginAsync(key, await RequestHash.OfAsync(context.Request, context.RequestAborted), context.RequestAborted);
        await ActAsync(context, key, route, decision);
    }

    private Task ActAsync(HttpContext context, IdempotencyKey key, IdempotentRoute route, IdempotencyDecision decision) => decision switch
    {
        IdempotencyDecision.Proceed => ProceedAsync(context, key, route),
        IdempotencyDecision.Replay replay => ReplayAsync(context, replay),
        IdempotencyDecision.Mismatch => Problem.WriteAsync(
            context, StatusCodes.Status422UnprocessableEntity, "idempotency_key_reused", "This Idempotency-Key was used for another request."),
        _ => Problem.WriteAsync(
            context, StatusCodes.Status409Conflict, "idempotency_key_in_flight", "The first request with this Idempotency-Key is still under way.", TimeSpan.FromSeconds(1)),
    };

    private async Task ProceedAsync(HttpContext context, IdempotencyKey key, IdempotentRoute route)
    {
        var body = context.Response.Body;
        using var kept = new MemoryStream();
        context.Response.Body = kept;
        var finished = false;
        try
        {
            await next(context);
            finished = context.Response.StatusCode < StatusCodes.Status500InternalServerError;
            if (finished)
            {
                var (status, type, answer) = route.ShowsSecret && context.Response.StatusCode < StatusCodes.Status400BadRequest
                    ? (StatusCodes.Status409Conflict, "application/problem+json", Problem.SecretShownBefore())
                    : (context.Response.StatusCode, context.Response.ContentType, kept.ToArray());
                await store.FinishAsync(key, status, type, context.Response.Headers.Location, answer, CancellationToken.None);
            }
        }
        finally
        {
            context.Response.Body = body;
            if (!finished)
            {
                await store.ForgetAsync(key, CancellationToken.None);
            }
        }

        kept.Position = 0;
        await kept.CopyToAsync(body, context.RequestAborted);
    }

    private static async Task ReplayAsync(HttpContext context, IdempotencyDecision.Replay replay)
    {
        context.Response.StatusCode = replay.Status;
        context.Response.ContentType = replay.ContentType;
        context.Response.Headers["Idempotent-Replayed"] = "true";
        if (replay.Location is { } location)
        {
            context.Response.Headers.Location = location;
        }

        // 204 must not be followed by a body, not even by an empty one.
        if (replay.Body.Length > 0)
        {
            await context.Response.Body.WriteAsync(replay.Body, context.RequestAborted);
        }
    }
}

public static class IdempotencyRegistration
{
    public static IServiceCollection AddIdempotency(this IServiceCollection services)
    {
        services.AddHostedService<IdempotencySweep>();
        return services.AddSingleton<IdempotencyStore>();
    }

    /// <summary>Goes after authentication and authorization.</summary>
    public static IApplicationBuilder UseIdempotency(this IApplicationBuilder app) => app.UseMiddleware<IdempotencyMiddleware>();

    /// <summary>Keeps the route's answers under the caller's <c>Idempotency-Key</c>. Not for streams, which attach to the same run instead.</summary>
    /// <param name="builder">The route.</param>
    /// <param name="showsSecret">The answer shows a secret once: it is not kept, and a repetition is 409 <c>secret_already_shown</c> with the Location of what was made.</param>
    public static TBuilder WithIdempotency<TBuilder>(this TBuilder builder, bool showsSecret = false)
        where TBuilder : IEndpointConventionBuilder => builder.WithMetadata(new IdempotentRoute { ShowsSecret = showsSecret });
}
