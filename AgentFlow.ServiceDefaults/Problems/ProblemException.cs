namespace AgentFlow.ServiceDefaults.Problems;

/// <summary>A refusal found deep in a call; the edge turns it into problem details. Not for bugs: those rise as what they are.</summary>
/// <param name="status">HTTP status, 400 to 599.</param>
/// <param name="code">Stable, lower_snake_case; clients branch on it.</param>
/// <param name="detail">One or two sentences for the caller; safe to show.</param>
public sealed class ProblemException(int status, string code, string detail) : Exception(detail)
{
    public int Status { get; } = status;

    public string Code { get; } = code;

    /// <summary>Sent as <c>Retry-After</c>, in whole seconds, at least 1.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>By member of the body, where it helps.</summary>
    public IReadOnlyDictionary<string, string[]>? Errors { get; init; }
}
