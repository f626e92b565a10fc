using AgentFlow.Contracts.Memories;
using AgentFlow.MemoryService.Access;
using AgentFlow.MemoryService.Ingestion;
using AgentFlow.MemoryService.Memories;
using Microsoft.AspNetCore.Http.HttpResults;

namespace AgentFlow.MemoryService.Search;

internal static class SearchEndpoints
{
    private const int ContextCandidates = 200;

    internal static void MapSearch(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/api").RequireAuthorization(Policies.Read).WithTags("Search").ProducesProblem(StatusCodes.Status400BadRequest);
        group.MapPost("/memories/search", SearchAsync).WithName("SearchMemories").WithSummary("Finds memories by meaning, words and filters");
        group.MapPost("/context", ContextAsync).WithName("MemoryContext").WithSummary("The best memories as one block for a prompt, within a token budget");
    }

    private static async Task<Ok<SearchMemoriesResponse>> SearchAsync(
        SearchMemoriesRequest request, MemoryCaller caller, MemorySearch search, PastSearch past, ModelExtraction model, HttpResponse response, CancellationToken ct)
    {
        if (!model.IsConfigured)
            response.Headers[ExtractionHeader.Name] = ExtractionHeader.Rules;
        var query = MemorySearch.Check(caller, request);
        var findings = query.KnownAt is { } knownAt
            ? await past.FindAsync(caller.OwnerId, query, knownAt, ct)
            : await search.FindAsync(caller.OwnerId, query, ct);
        return TypedResults.Ok(new SearchMemoriesResponse
        {
            Items = [.. findings.Ranked.Select(found => found.ToItem(request.Explain))],
            Degraded = findings.Degraded,
            Explanation = findings.Explanation,
        });
    }

    private static async Task<Ok<ContextBlock>> ContextAsync(ContextRequest request, MemoryCaller caller, MemorySearch search, CancellationToken ct)
    {
        MemorySearch.CheckQuery(request.Query);
        if (request.TokenBudget is < 16 or > 100_000)
            throw AddRequestRules.Invalid("tokenBudget", "tokenBudget is 16 to 100000.");
        var query = new MemoryQuery(request.Query, MemoryFilters.Bind(caller, request.Filter))
        {
            TopK = Math.Clamp(request.TokenBudget / 8, 10, ContextCandidates),
        };
        var findings = await search.FindAsync(caller.OwnerId, query, ct);
        return TypedResults.Ok(ContextAssembly.Assemble(findings.Ranked, request.TokenBudget) with { Degraded = findings.Degraded });
    }
}
