using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace AgentFlow.ServiceDefaults.Problems;

/// <summary>Says what is wrong with a body or parameter, by its place, without repeating an exception's own text.</summary>
internal static class BadRequests
{
    public static Task WriteAsync(HttpContext context, BadHttpRequestException error)
    {
        if (error.InnerException is JsonException json)
        {
            return WriteAsync(context, json);
        }

        return error.StatusCode switch
        {
            StatusCodes.Status413PayloadTooLarge => Problem.WriteAsync(context, error.StatusCode, "too_large", "The body is larger than this route takes."),
            StatusCodes.Status415UnsupportedMediaType => Problem.WriteAsync(context, error.StatusCode, "unsupported_media_type", ProblemEdge.BodyTypes),
            StatusCodes.Status408RequestTimeout => Problem.WriteAsync(context, error.StatusCode, "request_timeout", "The body came too slowly."),

            // Raw: 'Failed to bind parameter "int limit" from "abc".' and 'Required parameter "..." was not provided from body.'
            _ => Problem.WriteAsync(context, error.StatusCode, "bad_request", $"The request can not be read: {Parameter(error.Message)}."),
        };
    }

    public static Task WriteAsync(HttpContext context, JsonException error)
    {
        var place = string.IsNullOrEmpty(error.Path) ? "$" : error.Path;
        var what = error.Message switch
        {
            var text when text.Contains("could not be mapped", StringComparison.Ordinal) => "is not a member that this route knows",
            var text when text.Contains("missing required", StringComparison.Ordinal) => $"lacks {Missing(text)}",
            var text when text.Contains("uplicate", StringComparison.Ordinal) => "is given twice",
            var text when text.Contains("depth", StringComparison.OrdinalIgnoreCase) => "is nested too deeply",
            _ => "is not what this route takes",
        };
        var message = $"The JSON at {place} {what}.";
        return Problem.WriteAsync(
            context, StatusCodes.Status400BadRequest, "invalid_json", message, errors: new Dictionary<string, string[]>(StringComparer.Ordinal) { [place] = [message] });
    }

    /// <summary>Raw: <c>JSON deserialization for type 'X' was missing required properties including: 'query', 'topK'.</c></summary>
    private static string Missing(string message)
    {
        var start = message.IndexOf("including:", StringComparison.Ordinal);
        var names = start < 0 ? [] : message[start..].Split('\'').Where((_, place) => place % 2 == 1).ToArray();
        return names.Length == 0 ? "a required member" : $"what it needs: {string.Join(", ", names)}";
    }

    private static string Parameter(string message)
    {
        var start = message.IndexOf('"', StringComparison.Ordinal);
        var end = start < 0 ? -1 : message.IndexOf('"', start + 1);
        return end < 0 ? "it is malformed" : $"parameter {message[(start + 1)..end].Split(' ')[^1]} is missing or malformed";
    }
}
