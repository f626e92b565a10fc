using System.Net.Sockets;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace AgentFlow.ServiceDefaults.Problems;

/// <summary>
/// The HTTP edge: logs what escaped, once, and answers with neutral problem details; gives bare error statuses a body. A cancelled
/// request is neither. After the first byte nothing can be mended here: streams end with an event of their own.
/// </summary>
internal sealed partial class ProblemEdge(RequestDelegate next, ILogger<ProblemEdge> logger)
{
    private static readonly TimeSpan RetrySoon = TimeSpan.FromSeconds(2);

    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
            if (context.Response.StatusCode >= 400 && !context.Response.HasStarted && context.Response.ContentLength is null && context.Response.ContentType is null)
            {
                await WriteBareStatusAsync(context);
            }
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            LogAborted(context.Request.Method, context.Request.Path);
        }
#pragma warning disable CA1031 // The HTTP edge: the one place where a request's failure ends.
        catch (Exception error)
#pragma warning restore CA1031
        {
            if (context.Response.HasStarted)
            {
                LogFailed(error, context.Request.Method, context.Request.Path);
                context.Abort();
                return;
            }

            context.Response.Clear();
            await AnswerAsync(context, error);
        }
    }

    private async Task AnswerAsync(HttpContext context, Exception error)
    {
        switch (error)
        {
            case ProblemException problem:
                await Problem.WriteAsync(context, problem.Status, problem.Code, problem.Message, problem.RetryAfter, problem.Errors);
                break;
            case BadHttpRequestException bad:
                await BadRequests.WriteAsync(context, bad);
                break;
            case JsonException json:
                await BadRequests.WriteAsync(context, json);
                break;
            case IOException or OverflowException when !context.Request.Body.CanSeek && context.Request.ContentLength is null && context.Request.Headers.TransferEncoding.Count > 0:
                // A chunk size that overflows reaches us as one of these instead of a bad request.
                await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, "bad_request", "The body's transfer coding can not be read.");
                break;
            case InvalidDataException or IOException when IsBrokenMultipart(context, error):
                await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, "bad_request", "The multipart body can not be read: it ends early, or its parts are out of bounds.");
                break;
            case PostgresException { SqlState: PostgresErrorCodes.DiskFull }:
                LogFailed(error, context.Request.Method, context.Request.Path);
                await Problem.WriteAsync(context, StatusCodes.Status507InsufficientStorage, "disk_full", "The database has no space left; nothing was stored.", RetrySoon);
                break;
            case NpgsqlException or SocketException when IsUnavailable(error):
                LogDatabaseUnavailable(error, context.Request.Method, context.Request.Path);
                await Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable, "database_unavailable", "The database can not be reached, or is too busy. Try again.", RetrySoon);
                break;
            default:
                LogFailed(error, context.Request.Method, context.Request.Path);
                await Problem.WriteAsync(context, StatusCodes.Status500InternalServerError, "internal_error", "Something went wrong here. The trace id finds it in the logs.");
                break;
        }
    }

    /// <summary>The framework's multipart reader throws what files do; its words tell them apart.</summary>
    private static bool IsBrokenMultipart(HttpContext context, Exception error) =>
        context.Request.ContentType?.StartsWith("multipart/", StringComparison.OrdinalIgnoreCase) is true
        && (error is InvalidDataException || error.Message.StartsWith("Unexpected end of Stream", StringComparison.Ordinal));

    /// <summary>No connection, an exhausted pool, a time-out, or a server that is stopping or full; not a statement that is wrong.</summary>
    private static bool IsUnavailable(Exception error) => error is not PostgresException postgres
        || postgres.IsTransient
        || postgres.SqlState is PostgresErrorCodes.QueryCanceled or PostgresErrorCodes.AdminShutdown or PostgresErrorCodes.CrashShutdown or PostgresErrorCodes.CannotConnectNow;

    /// <summary>What a body of another type is answered with.</summary>
    internal const string BodyTypes = "Send application/json in UTF-8; where files are taken, multipart/form-data.";

    private static Task WriteBareStatusAsync(HttpContext context)
    {
        var (code, detail) = context.Response.StatusCode switch
        {
            StatusCodes.Status401Unauthorized => ("unauthorized", "Sign in, or send a valid token or API key."),
            StatusCodes.Status403Forbidden => ("forbidden", "This account or key may not do that."),
            StatusCodes.Status404NotFound => ("not_found", "There is nothing here."),
            StatusCodes.Status405MethodNotAllowed => ("method_not_allowed", "This address does not take that method; see the Allow header."),
            StatusCodes.Status413PayloadTooLarge => ("too_large", "The body is larger than this route takes."),
            StatusCodes.Status415UnsupportedMediaType => ("unsupported_media_type", BodyTypes),
            var status => ($"http_{status}", "The request was refused."),
        };
        return Problem.WriteAsync(context, context.Response.StatusCode, code, detail);
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} failed")]
    private partial void LogFailed(Exception error, string method, string path);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Method} {Path}: the database is unavailable")]
    private partial void LogDatabaseUnavailable(Exception error, string method, string path);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Method} {Path}: the client left")]
    private partial void LogAborted(string method, string path);
}

public static class ProblemRegistration
{
    /// <summary>The framework's writer puts the whole traceparent where we promise the trace id.</summary>
    internal static IServiceCollection AddProblems(this IServiceCollection services) =>
        services.AddProblemDetails(options => options.CustomizeProblemDetails = static context => context.ProblemDetails.Extensions["traceId"] = Problem.TraceId);
}
