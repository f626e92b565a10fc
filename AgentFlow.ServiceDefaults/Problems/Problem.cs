using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.WebUtilities;

namespace AgentFlow.ServiceDefaults.Problems;

/// <summary>RFC 9457 problem details with our members: <c>code</c>, <c>traceId</c> and, by field, <c>errors</c>.</summary>
public static class Problem
{
    public static ProblemHttpResult Result(int status, string code, string detail, IReadOnlyDictionary<string, string[]>? errors = null) =>
        TypedResults.Problem(Details(status, code, detail, errors));

    public static ProblemHttpResult NotFound(string what) => Result(StatusCodes.Status404NotFound, "not_found", $"There is no such {what}.");

    public static ProblemHttpResult Invalid(string field, string message) => Result(
        StatusCodes.Status400BadRequest, "invalid_request", message, new Dictionary<string, string[]>(StringComparer.Ordinal) { [field] = [message] });

    /// <summary>The answer to a repeated request whose first answer showed a secret, which is kept nowhere.</summary>
    public static ProblemHttpResult SecretShown() => TypedResults.Problem(SecretShownDetails());

    internal static byte[] SecretShownBefore() => JsonSerializer.SerializeToUtf8Bytes(SecretShownDetails());

    private static ProblemDetails SecretShownDetails() => Details(
        StatusCodes.Status409Conflict, "secret_already_shown", "This was made before, and its secret was shown once. If it was lost, revoke it and make another.", null);

    /// <summary>For middleware: writes the whole response. Does nothing when the response has already begun.</summary>
    public static async Task WriteAsync(
        HttpContext context, int status, string code, string detail, TimeSpan? retryAfter = null, IReadOnlyDictionary<string, string[]>? errors = null)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (context.Response.HasStarted)
        {
            return;
        }

        context.Response.StatusCode = status;
        if (retryAfter is { } wait)
        {
            context.Response.Headers.RetryAfter = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        }

        await TypedResults.Problem(Details(status, code, detail, errors)).ExecuteAsync(context);
    }

    internal static ProblemDetails Details(int status, string code, string detail, IReadOnlyDictionary<string, string[]>? errors)
    {
        var details = new ProblemDetails
        {
            Type = $"urn:agentflow:problem:{code}",
            Title = ReasonPhrases.GetReasonPhrase(status),
            Status = status,
            Detail = detail,
            Extensions = { ["code"] = code, ["traceId"] = TraceId },
        };
        if (errors is not null)
        {
            details.Extensions["errors"] = errors;
        }

        return details;
    }

    /// <summary>The current trace's 32 hex digits, to find the logs by.</summary>
    public static string TraceId => Activity.Current?.TraceId.ToHexString() ?? ActivityTraceId.CreateRandom().ToHexString();
}
