using AgentFlow.Contracts.Documents;

namespace AgentFlow.ApiService.Documents;

internal static class SearchRequests
{
    private const int MaxQuery = 50_000;
    private const int MaxTopK = 100;

    /// <exception cref="ServiceDefaults.Problems.ProblemException">400, naming the member.</exception>
    public static PassageQuery Validate(DocumentSearchRequest request)
    {
        if (string.IsNullOrWhiteSpace(request.Query) || request.Query.Length > MaxQuery || request.Query.Contains('\0', StringComparison.Ordinal))
            throw Refusals.Invalid("query", $"query has 1 to {MaxQuery:N0} characters and no U+0000.");
        if (request.TopK is < 1 or > MaxTopK)
            throw Refusals.Invalid("topK", $"topK is 1 to {MaxTopK}.");
        return new PassageQuery(request.Query, request.TopK, request.Filter is { } filter ? DocumentFilter.Parse(filter) : null, request.Explain)
        {
            Rerank = request.Rerank,
        };
    }
}
