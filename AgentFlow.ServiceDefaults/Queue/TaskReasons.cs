using System.Net.Sockets;
using AgentFlow.ServiceDefaults.Problems;
using Npgsql;
using Polly.CircuitBreaker;
using Polly.Timeout;

namespace AgentFlow.ServiceDefaults.Queue;

/// <summary>Why an attempt failed, in words for the task's owner; what broke exactly is in the log, under the task's id.</summary>
internal static class TaskReasons
{
    public static string Of(Exception error) => error switch
    {
        ProblemException problem => problem.Message,
        HttpRequestException { StatusCode: { } status } => $"A service that it needs answered with an error (HTTP {(int)status}).",
        HttpRequestException or SocketException or BrokenCircuitException => "A service that it needs could not be reached.",
        TimeoutRejectedException or OperationCanceledException => "A service that it needs did not answer in time.",
        PostgresException { SqlState: PostgresErrorCodes.DiskFull } => "There is no room left on the disk.",
        PostgresException { IsTransient: false } => "Something went wrong on our side.",
        NpgsqlException or TimeoutException => "The database could not be reached, or did not answer in time.",
        _ => "Something went wrong on our side.",
    };

    /// <summary>The same when no attempt is left.</summary>
    public static string AfterLast(Exception error, int attempt, int maxAttempts) => $"{Of(error)} It was given up after attempt {attempt} of {maxAttempts}.";

    /// <summary>The same while another attempt will follow.</summary>
    public static string BeforeNext(Exception error, int attempt, int maxAttempts) => $"{Of(error)} It is tried again (attempt {attempt} of {maxAttempts}).";
}
