using AgentFlow.ServiceDefaults.Problems;

namespace AgentFlow.ApiService.Documents;

internal static class PageLimits
{
    public const int MaxPage = 200;

    /// <exception cref="ProblemException">400: not 1 to 200.</exception>
    public static int Page(int limit) => limit is >= 1 and <= MaxPage
        ? limit
        : throw Refusals.Invalid("limit", $"limit is 1 to {MaxPage}.");
}

internal static class Refusals
{
    public static ProblemException Invalid(string field, string message) => new(StatusCodes.Status400BadRequest, "invalid_request", message)
    {
        Errors = new Dictionary<string, string[]>(StringComparer.Ordinal) { [field] = [message] },
    };
}
