using System.Text.Json;
using System.Text.Json.Nodes;
using AgentFlow.ServiceDefaults.Problems;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.MemoryService.Mem0;

/// <summary>Marks a route that keeps Mem0's own bodies, leniency and status codes.</summary>
internal sealed class Mem0Route
{
    internal static readonly Mem0Route Marker = new();
}

/// <summary>
/// The one place where refusals become Mem0's: <c>{"detail": "..."}</c>, with <c>code</c> beside it. 409 and 422 of ours become 400, which
/// is what Mem0's clients know as a validation error.
/// </summary>
internal static class Mem0Edge
{
    private const int BytesOfOnePart = 16 << 10;

    internal static RouteGroupBuilder MapMem0Group(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup(string.Empty).WithMetadata(Mem0Route.Marker).WithTags("Mem0");
        group.AddEndpointFilter(TranslateAsync);
        return group;
    }

    internal static JsonHttpResult<JsonNode> Json(JsonNode node, int status = StatusCodes.Status200OK) =>
        TypedResults.Json(node, Mem0Shapes.Options, statusCode: status);

    /// <summary>An answer of any length, which is sent while it is written.</summary>
    internal static Utf8JsonWriter Start(HttpContext context)
    {
        context.Response.ContentType = "application/json; charset=utf-8";
        return new Utf8JsonWriter(context.Response.BodyWriter, new JsonWriterOptions { Encoder = Mem0Shapes.Options.Encoder });
    }

    /// <summary>Sends what was written so far, where it is worth it.</summary>
    internal static async ValueTask PassOnAsync(Utf8JsonWriter answer, CancellationToken ct)
    {
        if (answer.BytesPending > BytesOfOnePart)
            await answer.FlushAsync(ct);
    }

    internal static JsonHttpResult<JsonNode> Refuse(int status, string detail, string? code = null) =>
        Json(code is null ? new JsonObject { ["detail"] = detail } : new JsonObject { ["detail"] = detail, ["code"] = code }, status);

    internal static ProblemException NotFound(string what = "Memory") => new(StatusCodes.Status404NotFound, "not_found", $"{what} not found");

    internal static ProblemException Invalid(string detail) => new(StatusCodes.Status400BadRequest, "invalid_request", detail);

    internal static JsonHttpResult<JsonNode> NotImplemented() =>
        Refuse(StatusCodes.Status501NotImplemented, "This part of Mem0's platform has no counterpart here.", "not_implemented");

    private static async ValueTask<object?> TranslateAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        try
        {
            return await next(context);
        }
        catch (ProblemException problem)
        {
            var status = problem.Status is StatusCodes.Status409Conflict or StatusCodes.Status422UnprocessableEntity ? StatusCodes.Status400BadRequest : problem.Status;
            return Refuse(status, problem.Message, problem.Code);
        }
        catch (JsonException)
        {
            return Refuse(StatusCodes.Status400BadRequest, "The body is not the JSON that this route takes.", "invalid_json");
        }
    }
}
