using System.Text.Json;

namespace AgentFlow.Web.Api;

/// <summary>
/// What the API answered instead of a result: problem details (RFC 9457), or our own words where there was no answer at all.
/// </summary>
/// <param name="Status">HTTP status; 0 when the API could not be reached.</param>
/// <param name="Code">Stable, for decisions; <c>unreachable</c> when the API could not be reached.</param>
/// <param name="Detail">One or two sentences for people.</param>
/// <param name="TraceId">To find the request in logs and traces.</param>
/// <param name="Errors">Messages by field of the body.</param>
public sealed record ApiProblem(
    int Status, string Code, string Detail, string? TraceId = null, IReadOnlyDictionary<string, IReadOnlyList<string>>? Errors = null)
{
    public static ApiProblem Unreachable { get; } =
        new(0, "unreachable", "AgentFlow's API does not answer right now. Nothing that was saved is lost; try again in a moment.");

    /// <summary>How long the API asks to wait before another try; null when it does not say.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>True for what waiting cures: the API or something that it needs is away, or is asked too much at once.</summary>
    public bool IsPassing => Status is 0 or StatusCodes.Status429TooManyRequests
        or StatusCodes.Status502BadGateway or StatusCodes.Status503ServiceUnavailable or StatusCodes.Status504GatewayTimeout;

    public bool IsUnauthorized => Status == StatusCodes.Status401Unauthorized;

    /// <summary>
    /// <c>{"type":"urn:agentflow:problem:conflict","title":"Conflict","status":409,"detail":"...","code":"run_active","traceId":"..."}</c>
    /// </summary>
    public static ApiProblem Read(int status, string body, string? traceId)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            var root = json.RootElement;
            if (root.ValueKind is not JsonValueKind.Object)
                return Bare(status, traceId);
            return new ApiProblem(
                status,
                Text(root, "code") ?? "http_" + status,
                Text(root, "detail") ?? Text(root, "title") ?? Bare(status, traceId).Detail,
                Text(root, "traceId") ?? traceId,
                FieldErrors(root));
        }
        catch (JsonException)
        {
            return Bare(status, traceId);
        }
    }

    private static ApiProblem Bare(int status, string? traceId) =>
        new(status, "http_" + status, status switch
        {
            401 => "You are signed out.",
            403 => "Your account may not do this.",
            404 => "This does not exist, or is not yours.",
            429 => "Too many requests at once. Wait a moment and try again.",
            >= 500 => "AgentFlow could not do this because of a fault on its side.",
            _ => "AgentFlow refused this request.",
        }, traceId);

    private static Dictionary<string, IReadOnlyList<string>>? FieldErrors(JsonElement root)
    {
        if (!root.TryGetProperty("errors", out var errors) || errors.ValueKind is not JsonValueKind.Object)
            return null;
        return errors.EnumerateObject()
            .Where(field => field.Value.ValueKind is JsonValueKind.Array)
            .ToDictionary(
                field => field.Name,
                field => (IReadOnlyList<string>)[.. field.Value.EnumerateArray().Select(message => message.ToString())],
                StringComparer.Ordinal);
    }

    private static string? Text(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.String ? value.GetString() : null;
}

/// <summary>The API refused, or could not be reached; pages show <see cref="Problem"/> where it happened.</summary>
internal sealed class ApiException(ApiProblem problem, Exception? inner = null) : Exception(problem.Detail, inner)
{
    public ApiProblem Problem { get; } = problem;
}
