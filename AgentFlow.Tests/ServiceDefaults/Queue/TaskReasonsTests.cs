using System.Net;
using System.Net.Sockets;
using AgentFlow.ServiceDefaults.Problems;
using AgentFlow.ServiceDefaults.Queue;
using Npgsql;
using Polly.CircuitBreaker;

namespace AgentFlow.Tests.ServiceDefaults.Queue;

public sealed class TaskReasonsTests
{
    public static TheoryData<Exception, string> Errors { get; } = new()
    {
        { new HttpRequestException("Connection refused (10.0.0.7:5082)"), "A service that it needs could not be reached." },
        { new HttpRequestException("Response status code does not indicate success: 503.", null, HttpStatusCode.ServiceUnavailable), "A service that it needs answered with an error (HTTP 503)." },
        { new SocketException(111), "A service that it needs could not be reached." },
        { new BrokenCircuitException(), "A service that it needs could not be reached." },
        { new TaskCanceledException("The request was canceled due to the configured HttpClient.Timeout."), "A service that it needs did not answer in time." },
        { new NpgsqlException("Failed to connect to 10.0.0.8:5432"), "The database could not be reached, or did not answer in time." },
        { new PostgresException("could not extend file", "ERROR", "ERROR", PostgresErrorCodes.DiskFull), "There is no room left on the disk." },
        { new PostgresException("relation \"x\" does not exist", "ERROR", "ERROR", PostgresErrorCodes.UndefinedTable), "Something went wrong on our side." },
        { new ProblemException(429, "overloaded", "Too many answers are being written."), "Too many answers are being written." },
        { new InvalidOperationException("boom at 0x7f"), "Something went wrong on our side." },
    };

    [Theory]
    [MemberData(nameof(Errors), DisableDiscoveryEnumeration = true)]
    public void A_person_is_told_what_kind_of_thing_failed_and_no_type_address_or_message_of_ours(Exception error, string reason)
    {
        Assert.Equal(reason, TaskReasons.Of(error));
        Assert.Equal(reason + " It was given up after attempt 5 of 5.", TaskReasons.AfterLast(error, 5, 5));
        Assert.Equal(reason + " It is tried again (attempt 2 of 5).", TaskReasons.BeforeNext(error, 2, 5));
    }
}
